"""Students whose predictions moved by known amounts: just under what a golden allows, and over."""

from dataclasses import replace

import numpy as np
import pytest
from judged import COUNT, labelled_structures, predictions_for
from springs import failing, measured

from mlffd.checks.accuracy import check_accuracy
from mlffd.checks.cases import plan
from mlffd.checks.matching import check_matches_golden
from mlffd.checks.proposing import propose
from mlffd.checks.subjects import StudentSubject
from mlffd.golden.records import StudentGolden
from mlffd.structures.dataset import write_dataset
from mlffd.verdicts import Verdict

STRUCTURES = labelled_structures()
SAME = predictions_for(STRUCTURES)


@pytest.fixture
def student(checkpoint, tmp_path):
    """A student that predicts what it did when its golden was accepted."""
    write_dataset(tmp_path / "labels.h5", STRUCTURES, metadata={})
    subject = StudentSubject(
        name="small",
        path=checkpoint,
        golden_path=tmp_path / "small.json",
        dataset_path=tmp_path / "labels.h5",
    )
    subject.predictions = SAME
    proposal = propose(subject)
    subject.golden = StudentGolden(proposal.record, proposal.predictions)
    return subject


def with_record(student, **changes):
    student.golden = StudentGolden(
        student.golden.record.model_copy(update=changes), student.golden.predictions
    )
    return student


def test_unchanged_predictions_match(student):
    evidence = check_matches_golden(student)
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence) == {"energy_max": 0.0, "forces_max": 0.0}
    assert evidence.details["environment"] == "cpu"
    assert evidence.details["structures"] == COUNT


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"energy": (7, 3 * 0.95e-9)}, set()),
        ({"energy": (7, 3 * 1.05e-9)}, {"energy_max"}),
        ({"energy": (7, -3 * 1.05e-9)}, {"energy_max"}),
        ({"forces": (7, 0.95e-8)}, set()),
        ({"forces": (7, 1.05e-8)}, {"forces_max"}),
        ({"forces": (7, -1.05e-8)}, {"forces_max"}),
    ],
)
def test_one_structure_may_move_by_rounding_only(student, change, found):
    """The tolerances that are proposed: 1e-9 eV per atom, and 1e-8 eV/Å."""
    student.predictions = predictions_for(STRUCTURES, **change)
    assert failing(check_matches_golden(student)) == found


@pytest.mark.parametrize("change", [{"energy": (7, np.nan)}, {"forces": (7, np.inf)}])
def test_what_is_no_number_does_not_match_and_is_worst(student, change):
    student.predictions = predictions_for(STRUCTURES, **change)
    evidence = check_matches_golden(student)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.details["worst"][0]["name"] == "molecule-7"


@pytest.mark.parametrize(
    ("energy", "forces", "worst"),
    [
        ((3, 1e-6), (8, 1e-6), "molecule-3"),  # 333 and 100 tolerances
        ((3, 1e-6), (8, 1e-5), "molecule-8"),  # 333 and 1000
    ],
)
def test_the_worst_is_furthest_over_its_tolerance(student, energy, forces, worst):
    student.predictions = predictions_for(STRUCTURES, energy=energy, forces=forces)
    evidence = check_matches_golden(student)
    assert evidence.message.endswith(f"({worst})")
    assert len(evidence.details["worst"]) == 10
    assert evidence.details["worst"][0]["name"] == worst
    index = int(worst.removeprefix("molecule-"))
    found = evidence.details["worst"][0]
    expected = {3: (1e-6 / 3, 0.0), 8: (0.0, forces[1])}[index]
    assert (found["energy"], found["forces"]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("check", [check_matches_golden, check_accuracy])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject": "other"}, "incomparable: the golden is that of 'other'"),
        ({"revision": 7}, "incomparable: the golden is of revision 7, the student of revision "),
        ({"dataset": "sha256:" + "e" * 64}, "incomparable: the data set has changed since"),
    ],
)
def test_a_golden_of_something_else_decides_nothing(student, check, changes, message):
    evidence = check(with_record(student, **changes))
    assert evidence.verdict is Verdict.INVALID
    assert evidence.message.startswith(message)


@pytest.mark.parametrize("check", [check_matches_golden, check_accuracy])
def test_a_golden_that_was_never_accepted_is_missing(student, check):
    student.golden = None
    evidence = check(student)
    assert evidence.verdict is Verdict.INVALID
    assert "small.json: missing; review and accept one" in evidence.message


def test_a_golden_that_nobody_names_is_not_asked_for(student):
    student.golden_path = None
    found = plan([student], ["matches_golden", "accuracy", "loads"])
    assert [o.check for o in found.omissions] == ["matches_golden", "accuracy"]


def test_new_weights_cannot_match_but_can_be_as_accurate(student):
    with_record(student, weights="sha256:" + "a" * 64)
    evidence = check_matches_golden(student)
    assert evidence.verdict is Verdict.INVALID
    assert evidence.message.startswith("incomparable: the weights have changed")
    assert check_accuracy(student).verdict is Verdict.PASS


def test_the_same_predictions_are_as_accurate(student):
    evidence = check_accuracy(student)
    assert evidence.verdict is Verdict.PASS
    assert not evidence.noteworthy
    assert measured(evidence)["undecided"] == 0
    assert {c.limit for c in evidence.criteria if c.name != "undecided"} == {1e-6}
    assert evidence.details["metrics"]["forces_mae"]["status"] == "pass"
    assert evidence.details["environment"] == "cpu"
    assert evidence.details["structures"] == COUNT


METRICS = {
    "energy_mae_per_atom",
    "energy_rmse_per_atom",
    "forces_mae",
    "forces_rmse",
    "forces_angle",
}


def test_errors_that_grow_are_a_regression_however_little(student):
    student.predictions = predictions_for(STRUCTURES, 1.0001)
    evidence = check_accuracy(student)
    assert evidence.verdict is Verdict.FAIL
    assert failing(evidence) == METRICS
    assert "any significant loss is a regression" in evidence.message
    assert measured(evidence)["forces_mae"] == pytest.approx(1e-4, rel=1e-3)


def test_a_loss_that_is_allowed_for_one_metric_is_none_of_another(student):
    student.limits = {"accuracy": dict.fromkeys(METRICS - {"forces_mae"}, 0.02)}
    student.predictions = predictions_for(STRUCTURES, 1.01)
    evidence = check_accuracy(student)
    assert failing(evidence) == {"forces_mae"}
    assert {c.limit for c in evidence.criteria} == {0.0, 1e-6, 0.02}


def test_an_improvement_passes_and_is_told_unless_the_settings_are_strict(student):
    student.predictions = predictions_for(STRUCTURES, 0.9)
    evidence = check_accuracy(student)
    assert evidence.verdict is Verdict.PASS
    assert evidence.noteworthy
    assert evidence.message.startswith("improved, accept a new golden: ")
    student.strict = True
    evidence = check_accuracy(student)
    assert evidence.verdict is Verdict.FAIL
    assert not evidence.failing


def test_an_improvement_of_one_metric_excuses_no_loss_of_another(student):
    better = predictions_for(STRUCTURES, 0.9)
    student.predictions = replace(better, energy=predictions_for(STRUCTURES, 1.1).energy)
    evidence = check_accuracy(student)
    assert failing(evidence) == {"energy_mae_per_atom", "energy_rmse_per_atom"}
    assert not evidence.message.startswith("improved")


def test_what_cannot_be_decided_is_inconclusive(student):
    """Errors of other structures, as large: their mean may have grown, or not."""
    shuffled = predictions_for(STRUCTURES)
    errors = SAME.energy - np.array([s.energy for s in STRUCTURES])
    energy = np.array([s.energy for s in STRUCTURES]) + np.roll(errors, 1)
    student.predictions = replace(shuffled, energy=energy)
    evidence = check_accuracy(student)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert failing(evidence) == {"undecided"}
    assert measured(evidence)["undecided"] == 2
    assert measured(evidence)["energy_mae_per_atom"] == 0.0

    forces = predictions_for(STRUCTURES, 1.1).forces
    student.predictions = replace(shuffled, energy=energy, forces=forces)
    assert check_accuracy(student).verdict is Verdict.FAIL


def test_a_metric_that_the_golden_does_not_have_is_missing(student):
    entry = student.golden.record.environments["cpu"]
    fewer = {n: m for n, m in entry.metrics.items() if n != "forces_mae"}
    changed = entry.model_copy(update={"metrics": fewer})
    evidence = check_accuracy(with_record(student, environments={"cpu": changed}))
    assert evidence.verdict is Verdict.INVALID
    assert evidence.message.startswith("a metric has no golden, accept one: ")
    assert "forces_mae" in evidence.message
    assert measured(evidence)["forces_mae"] == 0.0  # nothing to be worse than


@pytest.mark.parametrize("change", [{"energy": (7, np.nan)}, {"forces": (7, np.inf)}])
def test_a_prediction_that_is_no_number_is_never_accurate(student, change):
    student.predictions = predictions_for(STRUCTURES, **change)
    evidence = check_accuracy(student)
    assert evidence.verdict is Verdict.FAIL
    (spoilt,) = {name.split("_")[0] for name in failing(evidence)}
    assert spoilt in change
