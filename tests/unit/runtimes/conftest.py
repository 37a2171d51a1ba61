"""A small student with random weights, in revision 2."""

import pytest
import torch

from mlffd.students import Student, build


@pytest.fixture
def student() -> Student:
    torch.manual_seed(3)
    config = {"hidden_dim": 16, "num_interactions": 2, "num_rbf": 6, "max_z": 20}
    student = build("StudentForceField", config)
    student.get_buffer("reference_energies").copy_(-100.0 * torch.arange(21))
    return student
