"""Small random students, and checkpoint files made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mlffd.students import Student, build

MakeStudent = Callable[[int], Student]
Save = Callable[[object], Path]


@pytest.fixture
def make_student() -> MakeStudent:
    """A function that builds a random student of a revision."""

    def make(revision: int) -> Student:
        torch.manual_seed(revision)
        config = {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4, "max_z": 20}
        student = build("StudentForceField", {**config, "revision": revision})
        if revision == 2:
            student.get_buffer("reference_energies")[6] = -1035.123456789012
        return student

    return make


@pytest.fixture
def state(make_student: MakeStudent) -> dict[str, Any]:
    """The state dict of a student of revision 1."""
    return dict(make_student(1).state_dict())


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """A function that writes anything with torch.save and returns the path."""

    def write(payload: object) -> Path:
        path = tmp_path / "checkpoint.pt"
        torch.save(payload, path)
        return path

    return write
