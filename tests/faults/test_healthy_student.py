"""A healthy student passes every check, and what is not a number passes none that looks at it."""

from dataclasses import replace

import numpy as np
from planting import all_evidence, healthy_student

from mlffd.faults.planting import with_prediction
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.verdicts import Verdict


def test_a_healthy_student_passes_everything() -> None:
    evidence = all_evidence(healthy_student())
    assert len(evidence) >= 14
    assert {e.message: e.verdict for e in evidence.values() if e.verdict is not Verdict.PASS} == {}


def test_nan_forces_fail_and_do_not_slip_through_a_maximum() -> None:
    def poisoned(batch: Batch, prediction: Prediction) -> Prediction:
        forces = prediction.forces.clone()
        forces[-1] = np.nan
        return replace(prediction, forces=forces)

    found = all_evidence(with_prediction(healthy_student(), poisoned))
    passed = {name for name, e in found.items() if e.verdict is Verdict.PASS}
    # What looks at energies, weights or stresses only has no forces to judge.
    assert passed == {"loads", "finite_weights", "parameter_count", "stress_is_strain_derivative"}
