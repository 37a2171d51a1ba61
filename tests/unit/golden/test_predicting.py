from dataclasses import replace

import numpy as np
import pytest
import torch

from mlffd.errors import InputError
from mlffd.golden.predicting import predict_all
from mlffd.golden.records import Predictions
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures.structure import Structure
from mlffd.students import build

MOLECULE = Structure([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [0, 0.96, 0]], name="water")
CRYSTAL = replace(MOLECULE, cell=4 * np.eye(3), pbc=[True] * 3, name="ice")


def potential(revision=2):
    torch.manual_seed(0)
    config = {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4, "max_z": 20}
    return EagerPotential(build("StudentForceField", {**config, "revision": revision}))


def test_stress_is_asked_for_where_it_is_labelled():
    labelled = replace(CRYSTAL, stress=np.zeros((3, 3)))

    found = predict_all(potential(), [MOLECULE, labelled])

    assert found.names == ("water", "ice")
    assert found.stress is not None
    assert np.isnan(found.stress[0]).all()
    assert np.isfinite(found.stress[1]).all()
    assert predict_all(potential(), [MOLECULE, CRYSTAL]).stress is None


def test_a_student_without_stress_is_not_asked_for_it():
    labelled = replace(CRYSTAL, stress=np.zeros((3, 3)))

    assert predict_all(potential(revision=1), [labelled]).stress is None


def test_stresses_of_other_structures_do_not_fit():
    with pytest.raises(InputError, match="do not fit together"):
        Predictions.concatenate(["a"], [0.0], [np.zeros((1, 3))], [np.zeros((3, 3))] * 2)
