"""A registry of checks to play with: what a test registers is gone after it."""

from pathlib import Path

import pytest
import torch

from mlffd.checkpoints import save_checkpoint
from mlffd.checks import registry
from mlffd.students import build


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check is known until the test registers one."""
    monkeypatch.setattr(registry, "_CHECKS", {})


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good checkpoint of a small student."""
    torch.manual_seed(3)
    config = {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4, "max_z": 20}
    path = tmp_path_factory.mktemp("checkpoint") / "small.pt"
    student = build("StudentForceField", config)
    save_checkpoint(path, student, elements=[1, 6, 7, 8], training={})
    return path
