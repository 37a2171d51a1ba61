"""How good a student is on labelled structures."""

from collections.abc import Sequence

import numpy as np
import torch

from mlffd.golden.metrics import METRICS, force_r2, metric_terms
from mlffd.golden.records import Predictions
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import predict
from mlffd.structures.structure import Structure
from mlffd.students import Student


def evaluate(student: Student, structures: Sequence[Structure]) -> dict[str, float]:
    """Metrics by name, in float32 as in use.

    They are those of golden records, ``force_r2``, and ``stress_mae`` in eV/Å³ if there are stress
    labels.

    Raises:
        InputError: a structure has no energy or no forces.
    """
    potential = EagerPotential(student, dtype=torch.float32)
    results = predict(potential, structures, stress=student.honours_cells)
    predictions = Predictions.concatenate(
        [s.name for s in structures], [r.energy for r in results], [r.forces for r in results]
    )
    terms = metric_terms(structures, predictions)
    metrics = {metric.name: metric.value(terms[metric.name]) for metric in METRICS}
    metrics["force_r2"] = force_r2(structures, predictions)
    stress_errors = [
        np.abs(result.stress - structure.stress).mean()
        for result, structure in zip(results, structures, strict=True)
        if result.stress is not None and structure.stress is not None
    ]
    if stress_errors:
        metrics["stress_mae"] = float(np.mean(stress_errors))
    return metrics
