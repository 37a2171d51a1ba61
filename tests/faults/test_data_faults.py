"""Faults of labels, and of what is in which data set: what a check of data must catch."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planting import CHECKPOINT, DATASET, healthy_student, labelled_by_student, not_passing

from mlffd.checkpoints import load_checkpoint, read_checkpoint, save_checkpoint
from mlffd.checks.proposing import propose
from mlffd.checks.subjects import DatasetSubject, StudentSubject
from mlffd.golden.proposals import accept
from mlffd.structures.composition import composition, compositions
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

KCAL = 23.0605  # kcal/mol in an eV
HARTREE = 27.2114  # eV
SCANNED = 6


@pytest.fixture(scope="module")
def structures() -> list[Structure]:
    """The shipped data set, and some molecules pulled apart step by step, of the student's own."""
    shipped = list(Dataset(DATASET))
    molecules = [s for s in shipped if 5 < len(s) < 15 and not s.is_periodic][:SCANNED]
    return [*shipped, *labelled_by_student(point for m in molecules for point in scan(m))]


def scan(molecule: Structure) -> Iterator[Structure]:
    """One atom, pulled away from the others in steps of 0.1 Å, not too near to where it was."""
    outwards = molecule.positions[-1] - molecule.positions.mean(axis=0)
    outwards /= np.linalg.norm(outwards)
    for point in range(3, 7):
        positions = molecule.positions.copy()
        positions[-1] += 0.1 * point * outwards
        yield molecule.with_positions(positions, name=f"{molecule.name}-pulled-{point}")


@pytest.fixture(scope="module")
def golden_path(structures: list[Structure], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the sound data set covers."""
    folder = tmp_path_factory.mktemp("data")
    subject = subject_of(structures, folder, folder / "golden.json")
    accept(propose(subject), folder / "golden.json", reason="a baseline for planted faults")
    return folder / "golden.json"


def subject_of(
    structures: Sequence[Structure], folder: Path, golden: Path | None = None
) -> DatasetSubject:
    write_dataset(folder / "data.h5", structures, metadata={})
    return DatasetSubject(name="data", path=folder / "data.h5", golden_path=golden)


def test_sound_labels_pass(structures, golden_path, tmp_path):
    assert not_passing(subject_of(structures, tmp_path, golden_path)) == {}


@pytest.mark.parametrize("has_golden", [True, False])
def test_energies_in_kilocalories(structures, golden_path, tmp_path, has_golden):
    scaled = [replace(s, energy=KCAL * s.energy) for s in structures]
    found = not_passing(subject_of(scaled, tmp_path, golden_path if has_golden else None))
    assert found.pop("labels_consistent") is Verdict.FAIL
    assert found.pop("energies_plausible") is Verdict.FAIL
    assert found == ({"dataset_coverage": Verdict.FAIL} if has_golden else {})


@pytest.mark.parametrize("has_golden", [True, False])
def test_energies_and_forces_in_kilocalories(structures, golden_path, tmp_path, has_golden):
    """They belong together; a data set without a golden shows by its size that they are wrong."""
    scaled = [replace(s, energy=KCAL * s.energy, forces=KCAL * s.forces) for s in structures]
    found = not_passing(subject_of(scaled, tmp_path, golden_path if has_golden else None))
    assert found["dataset_valid"] is Verdict.FAIL
    assert ("dataset_coverage" in found) is has_golden


@pytest.mark.parametrize("factor", [KCAL, 1 / HARTREE], ids=["kcal/mol", "Hartree"])
def test_one_energy_in_another_unit(structures, golden_path, tmp_path, factor):
    changed = list(structures)
    target = max(
        (i for i, s in enumerate(structures) if "pulled" not in s.name and "scan" not in s.name),
        key=lambda i: (5 < len(structures[i]) < 15, -i),
    )
    energy = changed[target].energy
    assert energy is not None
    changed[target] = replace(changed[target], energy=factor * energy)
    found = not_passing(subject_of(changed, tmp_path, golden_path))
    assert found.pop("energies_plausible") is Verdict.FAIL
    assert found.keys() <= {"labels_consistent"}  # if another structure happens to be close


# What a student was trained on


def student_trained_on(structures: Sequence[Structure], folder: Path) -> StudentSubject:
    """The shipped student, as if it had been trained on these; judged on the shipped data set."""
    save_checkpoint(
        folder / "student.pt",
        load_checkpoint(CHECKPOINT),
        elements=read_checkpoint(CHECKPOINT).elements or (),
        training={
            "data": {"train": {"compositions": compositions(structures)}},
        },
    )
    subject = healthy_student(folder / "student.pt")
    subject.dataset_path = DATASET
    return subject


@pytest.fixture(scope="module")
def train(structures: list[Structure]) -> list[Structure]:
    """Molecules that the data set does not have: its own with one hydrogen less, and its atoms."""
    tested = {composition(s) for s in structures}
    atoms = [s for s in structures if len(s) == 1]
    shorn = [without_one_hydrogen(s) for s in structures if 1 in s.numbers and len(s) > 2]
    return [*(s for s in shorn if composition(s) not in tested), *atoms]


def without_one_hydrogen(structure: Structure) -> Structure:
    kept = np.arange(len(structure)) != np.flatnonzero(structure.numbers == 1)[0]
    return Structure(numbers=structure.numbers[kept], positions=structure.positions[kept])


def test_a_student_that_never_saw_what_it_is_judged_on_passes(train, tmp_path):
    assert len(train) > 10
    assert not_passing(student_trained_on(train, tmp_path), dynamics=False) == {}
