"""How good a student is on labelled structures."""

from collections.abc import Sequence

import torch

from mlffd.golden.metrics import metric_values
from mlffd.golden.predicting import predict_all
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures.structure import Structure
from mlffd.students import Student


def evaluate(student: Student, structures: Sequence[Structure]) -> dict[str, float]:
    """Every metric of `mlffd.golden.metrics`, by name, in float32 as in use.

    Those that the labels say nothing of, such as ``stress_mae`` without stress labels, are absent.

    Raises:
        InputError: a structure has no energy or no forces.
    """
    potential = EagerPotential(student, dtype=torch.float32)
    return metric_values(structures, predict_all(potential, structures))
