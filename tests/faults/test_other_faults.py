"""For every check of loading, goldens and data a fault that it, and nothing else, must catch."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planting import (
    CHECKPOINT,
    DATASET,
    healthy_student,
    labelled_by_student,
    not_passing,
    with_prediction,
)

from mlffd.checkpoints import fingerprint, load_checkpoint, read_checkpoint, save_checkpoint
from mlffd.checks.proposing import propose
from mlffd.checks.subjects import DatasetSubject, StudentSubject, Subject
from mlffd.golden.proposals import accept
from mlffd.structures.batch import Batch
from mlffd.structures.composition import composition
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.prediction import Prediction
from mlffd.structures.structure import Structure
from mlffd.students.student_force_field import StudentForceField
from mlffd.verdicts import Verdict

BROMINE = 35


def resaved(folder: Path, student: torch.nn.Module) -> Path:
    assert isinstance(student, StudentForceField)
    path = folder / "changed.pt"
    elements = read_checkpoint(CHECKPOINT).elements
    save_checkpoint(path, student, elements=elements or (), training={})
    return path


@pytest.fixture(scope="module")
def golden_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Goldens of the shipped student and data set, as they are now."""
    folder = tmp_path_factory.mktemp("golden")
    for subject in (student_with_golden(folder), dataset_with_golden(folder)):
        assert subject.golden_path is not None
        accept(propose(subject), subject.golden_path, reason="a baseline for planted faults")
    return folder


def student_with_golden(folder: Path, checkpoint: Path = CHECKPOINT) -> StudentSubject:
    subject = healthy_student(checkpoint)
    subject.golden_path, subject.dataset_path = folder / "student.json", DATASET
    return subject


def dataset_with_golden(folder: Path, path: Path = DATASET) -> DatasetSubject:
    return DatasetSubject(name="golden", path=path, golden_path=folder / "golden.json")


# Loading


@pytest.mark.catches("loads")
def test_a_renamed_layer_does_not_load(tmp_path: Path) -> None:
    document = torch.load(CHECKPOINT, weights_only=True)
    weights = document["model_state_dict"]
    weights["readout.0.weight"] = weights.pop("energy_head.0.weight")
    path = tmp_path / "renamed.pt"
    torch.save({"model_state_dict": weights, "config": document["config"]}, path)
    found = not_passing(healthy_student(path), dynamics=False)
    # Of a student that does not load nothing else can be measured, and nothing may pass.
    assert found.pop("loads") is Verdict.FAIL
    assert set(found.values()) == {Verdict.INVALID}


@pytest.mark.catches("finite_weights")
def test_one_nan_in_an_embedding_that_nothing_uses(tmp_path: Path) -> None:
    document = torch.load(CHECKPOINT, weights_only=True)
    document["model_state_dict"]["embedding.weight"][BROMINE, 0] = torch.nan
    document["fingerprint"] = fingerprint(document["model_state_dict"])  # not a damaged file
    path = tmp_path / "nan.pt"
    torch.save(document, path)
    assert not_passing(healthy_student(path), dynamics=False) == {"finite_weights": Verdict.FAIL}


@pytest.mark.catches("parameter_count")
def test_another_size_than_declared() -> None:
    subject = healthy_student()
    subject.parameters = 77_203
    assert not_passing(subject, dynamics=False) == {"parameter_count": Verdict.FAIL}


# Goldens


def test_healthy_subjects_match_their_goldens(golden_folder: Path) -> None:
    assert not_passing(student_with_golden(golden_folder), dynamics=False) == {}
    assert not_passing(dataset_with_golden(golden_folder), dynamics=False) == {}


@pytest.mark.catches("matches_golden")
def test_one_percent_of_the_forces_of_one_structure(golden_folder: Path) -> None:
    target = next(s for s in Dataset(DATASET) if len(s) > 10)

    def one_percent(batch: Batch, prediction: Prediction) -> Prediction:
        forces = prediction.forces.clone()
        starts = (batch.atom_counts.cumsum(0) - batch.atom_counts).tolist()
        for start, count in zip(starts, batch.atom_counts.tolist(), strict=True):
            atoms = slice(start, start + count)
            if np.array_equal(batch.positions[atoms].numpy(), target.positions):
                forces[atoms] *= 1.01
        return replace(prediction, forces=forces)

    faulty = with_prediction(student_with_golden(golden_folder), one_percent)
    assert not_passing(faulty, dynamics=False) == {"matches_golden": Verdict.FAIL}


def test_five_millielectronvolts_for_one_element(golden_folder: Path) -> None:
    chlorine = 17

    def shifted(batch: Batch, prediction: Prediction) -> Prediction:
        extra = 5e-3 * (batch.numbers == chlorine).double()
        energy = prediction.energy.index_add(0, batch.structure_index, extra)
        return replace(prediction, energy=energy)

    found = not_passing(with_prediction(student_with_golden(golden_folder), shifted))
    assert found.pop("matches_golden") is Verdict.FAIL
    assert found.keys() <= {"accuracy"}  # which may notice the worse energies, or not


@pytest.mark.catches("accuracy")
def test_worse_weights_lose_accuracy_and_cannot_match(golden_folder: Path) -> None:
    student = load_checkpoint(CHECKPOINT)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in student.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.1 * parameter.abs().mean() * noise)
    path = resaved(golden_folder, student)
    found = not_passing(student_with_golden(golden_folder, path), dynamics=False)
    # New weights are not held against old predictions, but may not pass unreviewed either.
    assert found == {"accuracy": Verdict.FAIL, "matches_golden": Verdict.INVALID}


def test_the_golden_of_another_student(golden_folder: Path) -> None:
    subject = student_with_golden(golden_folder)
    subject.name = "another"
    assert not_passing(subject, dynamics=False) == {
        "accuracy": Verdict.INVALID,
        "matches_golden": Verdict.INVALID,
    }


def test_a_missing_golden_is_no_pass(tmp_path: Path) -> None:
    assert not_passing(student_with_golden(tmp_path), dynamics=False) == {
        "accuracy": Verdict.INVALID,
        "matches_golden": Verdict.INVALID,
    }
    assert not_passing(dataset_with_golden(tmp_path), dynamics=False) == {
        "dataset_coverage": Verdict.INVALID
    }


# Data


@pytest.mark.catches("dataset_valid")
def test_one_nan_force(golden_folder: Path) -> None:
    def poisoned(structures: Iterator[Structure]) -> Iterator[Structure]:
        for index, structure in enumerate(structures):
            if index == 3 and structure.forces is not None:
                structure.forces[0, 0] = np.nan
            yield structure

    path = golden_folder / "nan.h5"
    write_dataset(path, poisoned(iter(Dataset(DATASET))), metadata={})
    assert not_passing(dataset_with_golden(golden_folder, path), dynamics=False) == {
        "dataset_valid": Verdict.FAIL
    }


@pytest.mark.catches("dataset_valid")
def test_a_data_set_that_was_never_labelled(golden_folder: Path) -> None:
    bare = (s.with_positions(s.positions) for s in Dataset(DATASET))
    path = golden_folder / "unlabelled.h5"
    write_dataset(path, bare, metadata={})
    subject = DatasetSubject(name="golden", path=path)  # its coverage would be found wanting too
    assert not_passing(subject, dynamics=False) == {"dataset_valid": Verdict.FAIL}


@pytest.mark.catches("dataset_coverage")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: replace(s, energy=s.energy / 27.211), id="energies in Hartree"),
        pytest.param(lambda s: replace(s, forces=s.forces / 51.422), id="forces in Hartree/Bohr"),
        pytest.param(
            lambda s: replace(
                s, positions=s.positions / 0.5292, cell=None if s.cell is None else s.cell / 0.5292
            ),
            id="positions in Bohr",
        ),
        pytest.param(lambda s: replace(s, stress=None), id="no stress"),
        pytest.param(lambda s: replace(s, pbc=s.pbc & False, stress=None), id="no periodicity"),
    ],
)
def test_data_in_other_units_or_without_a_kind_of_label(
    golden_folder: Path, change: Callable[[Structure], Structure], request: pytest.FixtureRequest
) -> None:
    path = golden_folder / f"{request.node.callspec.id.replace('/', ' per ')}.h5"
    write_dataset(path, map(change, Dataset(DATASET)), metadata={})
    found = not_passing(dataset_with_golden(golden_folder, path), dynamics=False)
    assert found.pop("dataset_coverage") is Verdict.FAIL
    # Where only one of them changed its unit, energies and forces do not belong together either.
    assert found.keys() <= {"labels_consistent"}


@pytest.mark.catches("dataset_coverage")
def test_data_that_lost_every_hydrogen_before_it_was_labelled(golden_folder: Path) -> None:
    heavy: list[Structure] = []
    for structure in Dataset(DATASET):
        kept = structure.numbers != 1
        left = replace(
            structure.with_positions(structure.positions),
            numbers=structure.numbers[kept],
            positions=structure.positions[kept],
        )
        # Atoms alone would be duplicates, and what is left of a scan no scan.
        if len(left) > 1 and composition(left) not in {composition(other) for other in heavy}:
            heavy.append(left)
    path = golden_folder / "heavy.h5"
    write_dataset(path, labelled_by_student(heavy), metadata={})
    subject: Subject = dataset_with_golden(golden_folder, path)
    assert not_passing(subject, dynamics=False) == {"dataset_coverage": Verdict.FAIL}


@pytest.mark.catches("dataset_coverage")
def test_most_structures_with_chlorine_are_gone(golden_folder: Path) -> None:
    def thinned(structures: Iterator[Structure]) -> Iterator[Structure]:
        kept = 0
        for structure in structures:
            if 17 in structure.numbers:
                kept += 1
                if kept > 2:
                    continue
            yield structure

    path = golden_folder / "thinned.h5"
    write_dataset(path, thinned(iter(Dataset(DATASET))), metadata={})
    assert not_passing(dataset_with_golden(golden_folder, path), dynamics=False) == {
        "dataset_coverage": Verdict.FAIL
    }
