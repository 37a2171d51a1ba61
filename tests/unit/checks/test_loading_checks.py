"""Checkpoints that are wrong by one weight, one parameter, or altogether."""

import pytest
import torch
from springs import failing, measured

from mlffd.checkpoints import load_checkpoint, read_checkpoint, save_checkpoint
from mlffd.checks.cases import plan
from mlffd.checks.loading import check_finite_weights, check_loads, check_parameter_count
from mlffd.checks.subjects import StudentSubject
from mlffd.verdicts import Verdict


@pytest.fixture
def subject(checkpoint):
    return StudentSubject(name="small", path=checkpoint)


@pytest.fixture
def spoilt(checkpoint, tmp_path):
    """A student with weights that are no numbers: two in one tensor, one in another."""
    student = load_checkpoint(checkpoint)
    with torch.no_grad():
        student.get_parameter("embedding.weight")[1, :2] = torch.nan
        student.get_parameter("energy_head.4.bias")[0] = torch.inf
    torch.save({"state_dict": student.state_dict(), "config": student.config}, tmp_path / "s.pt")
    return StudentSubject(name="spoilt", path=tmp_path / "s.pt")


def test_a_good_checkpoint_loads(subject, checkpoint):
    evidence = check_loads(subject)
    assert evidence.verdict is Verdict.PASS
    assert [(c.name, c.measured, c.limit) for c in evidence.criteria] == [("failures", 0, 0)]
    assert evidence.details["fingerprint"] == read_checkpoint(checkpoint).fingerprint


def test_a_damaged_file_is_a_failure_and_no_absence_of_evidence(tmp_path):
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    evidence = check_loads(StudentSubject(name="broken", path=tmp_path / "broken.pt"))
    assert evidence.verdict is Verdict.FAIL
    assert [(c.measured, c.limit) for c in evidence.criteria] == [(1, 0)]
    assert "broken.pt" in evidence.message


def test_weights_that_are_no_numbers_load_and_are_counted_by_name(spoilt):
    """So that the message is of the weights, not of the file."""
    assert check_loads(spoilt).verdict is Verdict.PASS
    evidence = check_finite_weights(spoilt)
    assert failing(evidence) == {"values"}
    assert measured(evidence) == {"values": 3}
    assert evidence.criteria[0].limit == 0
    assert evidence.details["tensors"] == {"embedding.weight": 2, "energy_head.4.bias": 1}
    assert evidence.message == "values that are not finite: embedding.weight, energy_head.4.bias"


def test_sound_weights_are_finite(subject):
    evidence = check_finite_weights(subject)
    assert evidence.verdict is Verdict.PASS
    assert evidence.message == "values that are not finite: none"


@pytest.mark.parametrize(("by", "difference"), [(0, 0), (1, 1), (-1, 1)])
def test_one_parameter_more_or_less_than_the_settings_declare_fails(subject, by, difference):
    count = subject.checkpoint.parameter_count
    subject.parameters = count + by
    evidence = check_parameter_count(subject)
    assert measured(evidence) == {"difference": difference}
    assert evidence.verdict is (Verdict.FAIL if by else Verdict.PASS)
    assert evidence.details == {"parameters": count, "declared": count + by}


def test_the_settings_go_before_what_the_file_says(subject):
    stated = subject.checkpoint.declared_parameters
    assert check_parameter_count(subject).details["declared"] == stated
    assert check_parameter_count(subject).verdict is Verdict.PASS
    subject.parameters = stated + 5
    assert check_parameter_count(subject).details["declared"] == stated + 5


def test_a_count_that_nobody_declares_is_not_asked_for(spoilt, subject):
    (omission,) = plan([spoilt], ["parameter_count", "loads"]).omissions
    assert omission.check == "parameter_count"
    assert check_parameter_count(spoilt).verdict is Verdict.INVALID
    spoilt.parameters = 5
    assert plan([spoilt], ["parameter_count"]).omissions == []
    assert plan([subject], ["parameter_count"]).omissions == []


def test_a_student_without_provenance_loads_too(tmp_path, checkpoint):
    save_checkpoint(tmp_path / "s.pt", load_checkpoint(checkpoint), elements=[1], training={})
    assert check_loads(StudentSubject(name="s", path=tmp_path / "s.pt")).verdict is Verdict.PASS
