"""What exports are compared with is computed once, and never taken for something else."""

import shutil
from dataclasses import replace

import pytest
import torch

from mlffd.checkpoints import load_checkpoint, read_checkpoint, save_checkpoint
from mlffd.checks import reference
from mlffd.checks.reference import reference_of
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import collate_for
from mlffd.structures import probes


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(reference, "_kept", {})


@pytest.fixture
def batch(checkpoint):
    return collate_for(reference_of(read_checkpoint(checkpoint)), probes.molecules({1, 6, 8})[:3])


@pytest.fixture
def computed(monkeypatch):
    """How often a student was evaluated."""
    calls = []
    original = EagerPotential.__call__

    def counting(self, batch, *, stress=False):
        calls.append(stress)
        return original(self, batch, stress=stress)

    monkeypatch.setattr(EagerPotential, "__call__", counting)
    return calls


def test_it_says_what_the_student_says_in_float64(checkpoint, batch):
    read = read_checkpoint(checkpoint)
    expected = EagerPotential(read.student(), dtype=torch.float64)(batch, stress=True)

    found = reference_of(read)(batch, stress=True)

    for name in ("energy", "forces", "stress"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), rtol=0, atol=0, equal_nan=True
        )


def test_the_same_batch_is_computed_once_whoever_reads_the_checkpoint(
    checkpoint, batch, computed, tmp_path
):
    copy = shutil.copy(checkpoint, tmp_path)

    first = reference_of(read_checkpoint(checkpoint))(batch)
    again = reference_of(read_checkpoint(copy))(batch)

    assert again is first
    assert computed == [False]


def test_whatever_is_different_is_computed(checkpoint, batch, computed, tmp_path):
    student = load_checkpoint(checkpoint)
    student.get_parameter("energy_head.4.weight").mul_(2)
    save_checkpoint(tmp_path / "other.pt", student, elements=[1, 6, 7, 8], training={})
    moved = replace(batch, positions=batch.positions + 1e-12)
    read = read_checkpoint(checkpoint)

    answers = [
        reference_of(read)(batch),
        reference_of(read)(batch, stress=True),
        reference_of(read)(moved),
        reference_of(read_checkpoint(tmp_path / "other.pt"))(batch),
        reference_of(replace(read, config={**read.config, "cutoff": 4.0}))(batch),
    ]

    assert len({id(answer) for answer in answers}) == len(computed) == len(answers)


def test_only_the_latest_students_are_kept(checkpoint, batch, computed):
    read = read_checkpoint(checkpoint)
    first = reference_of(read)(batch)
    for number in range(reference.MOST):
        reference_of(replace(read, fingerprint=f"sha256:{number}"))

    assert len(reference._kept) == reference.MOST
    assert reference_of(read)(batch) is not first
