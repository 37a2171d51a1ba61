"""What a checkpoint tells of its training data is held against what it is judged on."""

import numpy as np
import pytest
import torch

from mlffd.checkpoints import save_checkpoint
from mlffd.checks.cases import plan
from mlffd.checks.subjects import StudentSubject
from mlffd.structures.composition import compositions
from mlffd.structures.dataset import write_dataset
from mlffd.structures.structure import Structure
from mlffd.students import build
from mlffd.verdicts import Verdict


def structure(name, numbers):
    rng = np.random.default_rng(len(name))
    count = len(numbers)
    return Structure(
        numbers=np.array(numbers),
        positions=2 * rng.normal(size=(count, 3)),
        energy=0.0,
        forces=np.zeros((count, 3)),
        name=name,
    )


WATER = structure("water/300K-0", [8, 1, 1])
METHANE = structure("methane/300K-0", [6, 1, 1, 1, 1])
AMMONIA = structure("ammonia/300K-0", [7, 1, 1, 1])
ATOM = structure("H/atom", [1])


@pytest.fixture
def subject_of(tmp_path):
    """A student that says what it was trained on, judged on water, ammonia and an atom."""

    def make(training):
        torch.manual_seed(0)
        config = {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4, "max_z": 20}
        student = build("StudentForceField", config)
        save_checkpoint(tmp_path / "s.pt", student, elements=[1, 6, 7, 8], training=training)
        write_dataset(tmp_path / "test.h5", [WATER, AMMONIA, ATOM], metadata={})
        return StudentSubject(name="s", path=tmp_path / "s.pt", dataset_path=tmp_path / "test.h5")

    return make


def told(**splits):
    return {"data": {name: {"compositions": compositions(found)} for name, found in splits.items()}}


def run(subject):
    (case,) = plan([subject], ["unseen_molecules"]).cases
    return case.run()


def test_other_molecules_and_single_atoms_are_no_leak(subject_of):
    evidence = run(subject_of(told(train=[METHANE, ATOM], validation=[METHANE])))
    assert evidence.verdict is Verdict.PASS
    assert evidence.details["structures"] == 2


def test_a_molecule_of_the_test_set_in_train_is_named(subject_of):
    evidence = run(subject_of(told(train=[METHANE, WATER], validation=[METHANE])))
    assert evidence.verdict is Verdict.FAIL
    assert "first: water/300K-0 (H2O)" in evidence.message
    assert evidence.details["first"] == {"train": ["water/300K-0"], "validation": []}
    assert [(c.name, c.measured) for c in evidence.failing] == [("in_train", 1)]


def test_what_the_best_epoch_was_chosen_by_counts_too(subject_of):
    evidence = run(subject_of(told(train=[METHANE], validation=[AMMONIA])))
    assert [c.name for c in evidence.failing] == ["in_validation"]


@pytest.mark.parametrize("training", [{}, {"data": {}}, {"data": {"train": {}}}, {"data": "x"}])
def test_a_checkpoint_that_does_not_tell_is_not_asked(subject_of, training):
    found = plan([subject_of(training)], ["unseen_molecules", "loads"])
    assert found.omissions[0].reason == "its checkpoint does not tell what it was trained on"


def test_a_student_without_data_is_not_asked(subject_of):
    subject = subject_of(told(train=[METHANE]))
    subject.dataset_path = None
    found = plan([subject], ["unseen_molecules", "loads"])
    assert found.omissions[0].reason == "the settings name no data set for it"


def test_ten_formulas_and_ten_names_are_told(subject_of, tmp_path):
    many = [structure(f"{n}-{copy}", [6] * n) for n in range(2, 14) for copy in range(2)]
    many += [structure(f"{2}-{copy}", [6] * 2) for copy in range(2, 5)]
    subject = subject_of(told(train=many))
    write_dataset(tmp_path / "many.h5", many, metadata={})
    subject.dataset_path = tmp_path / "many.h5"
    evidence = run(subject)
    assert evidence.criteria[0].measured == 27
    assert len(evidence.details["leaking_formulas"]["train"]) == 10
    assert evidence.details["leaking_formulas"]["train"]["C2"] == 5
    assert evidence.details["first"]["train"] == [s.name for s in many[:10]]
    assert evidence.details["known_formulas"] == {"train": 12}


@pytest.mark.parametrize("stated", ["H2O", ["H2O", 3], [3], {"H2O": 1}])
def test_something_else_than_formulas_is_no_pass(subject_of, stated):
    evidence = run(subject_of({"data": {"train": {"compositions": stated}}}))
    assert evidence.verdict is Verdict.INVALID
    assert "s.pt: training: data: train: compositions: expected a list" in evidence.message


def test_a_checkpoint_that_tells_only_what_its_epoch_was_chosen_by_is_asked_that(subject_of):
    evidence = run(subject_of(told(validation=[AMMONIA])))
    assert [c.name for c in evidence.failing] == ["in_validation"]


def test_of_several_leaks_the_first_is_named(subject_of):
    evidence = run(subject_of(told(train=[AMMONIA, WATER])))
    assert "first: water/300K-0 (H2O)" in evidence.message
