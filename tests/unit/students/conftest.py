"""Students with random weights that do something, small enough to be quick."""

from collections.abc import Callable

import pytest
import torch

from mlffd.students import Student, build

MakeStudent = Callable[..., Student]


@pytest.fixture
def make_student() -> MakeStudent:
    """A function that builds a random student; every weight has an effect."""

    def make(**changes: object) -> Student:
        torch.manual_seed(7)
        config = {"hidden_dim": 16, "num_interactions": 2, "num_rbf": 6, "max_z": 20}
        student = build("StudentForceField", {**config, **changes})
        with torch.no_grad():
            for interaction in student.get_submodule("interactions").children():
                # Off the identity, so that what the revisions do to the matrix shows.
                interaction.get_parameter("update.mixing_matrix").add_(0.3 * torch.randn(3, 3))
        if student.revision > 1:
            references = student.get_buffer("reference_energies")
            references.copy_(-1e3 * torch.rand(len(references), dtype=torch.float64))
        return student

    return make
