"""What `mlffd inspect` and `mlffd data info` show."""

import io

import pytest
import torch
from rich.console import Console

from mlffd.checkpoints import read_checkpoint, save_checkpoint
from mlffd.report.inspection import print_checkpoint, print_dataset
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.structure import Structure
from mlffd.students.student_force_field import StudentForceField, StudentForceFieldConfig


def rows(show, subject):
    stream = io.StringIO()
    show(subject, Console(file=stream, width=140, highlight=False))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


@pytest.fixture
def shown_training(tmp_path):
    """The rows of a checkpoint with this provenance."""

    def shown(training):
        torch.manual_seed(0)
        path = tmp_path / "student.pt"
        student = StudentForceField(StudentForceFieldConfig(8, 1, 4))
        save_checkpoint(path, student, elements=[1], training=training)
        found = rows(print_checkpoint, read_checkpoint(path))
        return [row for row in found if row.startswith("training")]

    return shown


def test_nested_provenance_has_one_row_for_each_value(shown_training):
    training = {"metrics": {"test": {"forces_rmse": 0.4087296013726603}}, "size": "tiny"}

    assert shown_training(training) == [
        "training metrics test forces_rmse 0.4087",
        "training size tiny",
    ]


def test_whole_numbers_keep_all_of_their_digits(shown_training):
    assert shown_training({"seed": 1234567, "tf32": False}) == [
        "training seed 1234567",
        "training tf32 False",
    ]


def test_a_list_is_one_row_unless_it_holds_more_than_values(shown_training):
    training = {"losses": [0.123456, 2], "stages": [{"epochs": 3}, {"epochs": 5}]}

    assert shown_training(training) == [
        "training losses 0.1235, 2",
        "training stages 0 epochs 3",
        "training stages 1 epochs 5",
    ]


@pytest.mark.parametrize("labelled", [True, False])
def test_labels_are_counted_by_kind(tmp_path, labelled):
    labels = {"energy": -1.0, "forces": [[0, 0, 0]]} if labelled else {}
    stress = {"stress": [[0.0] * 3] * 3} if labelled else {}
    crystal = Structure(
        [6], [[0, 0, 0]], cell=[[3, 0, 0], [0, 3, 0], [0, 0, 3]], pbc=[True] * 3, **labels, **stress
    )
    molecule = Structure([6], [[0, 0, 0]], **labels)
    write_dataset(tmp_path / "d.h5", [molecule, crystal, molecule], metadata={})

    with Dataset(tmp_path / "d.h5") as dataset:
        shown = rows(print_dataset, dataset)

    assert "periodic 1" in shown
    assert f"labels {'energy and forces 3, stress 1' if labelled else 'none'}" in shown
