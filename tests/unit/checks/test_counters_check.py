"""Counts against those that were accepted: exact, and only of the same student and PyTorch."""

from pathlib import Path

import pytest
from springs import failing

from mlffd.checks.cases import plan
from mlffd.checks.counters import check_counters
from mlffd.checks.subjects import StudentSubject
from mlffd.golden.records import CountersRecord
from mlffd.performance.counting import torch_release
from mlffd.verdicts import Verdict

COUNTED = {"water": {f"operator {i:02}": i for i in range(20)}, "cluster": {"edges": 7}}


def subject_of(found, **changes):
    record = {"subject": "small", "torch": torch_release(), "counters": COUNTED, "provenance": {}}
    subject = StudentSubject(name="small", path=Path("none"), counters_path=Path("counters.json"))
    subject.counters = found
    subject.golden_counters = CountersRecord(**(record | changes))
    return subject


def with_more(count, by=1):
    """So many counters that are different."""
    more = {name: n + by * (n < count) for name, n in COUNTED["water"].items()}
    return {**COUNTED, "water": more}


def test_the_same_counts_pass():
    evidence = check_counters(subject_of(COUNTED))
    assert evidence.verdict is Verdict.PASS
    assert evidence.message == "21 counters are the golden's"
    assert [(c.name, c.measured, c.limit) for c in evidence.criteria] == [
        ("cluster", 0, 0),
        ("water", 0, 0),
    ]
    assert evidence.details == {"counters": COUNTED, "changed": []}


@pytest.mark.parametrize("by", [1, -1])
def test_one_more_or_less_of_anything_fails_where_it_was_counted(by):
    evidence = check_counters(subject_of(with_more(1, by)))
    assert failing(evidence) == {"water"}
    assert evidence.message.startswith("1 of 21 counters are not the golden's: water: operator 00:")
    assert "more" not in evidence.message
    assert evidence.details["changed"] == [
        {"place": "water", "counter": "operator 00", "before": 0, "after": by}
    ]


@pytest.mark.parametrize(("count", "more"), [(12, ""), (13, "; and 1 more"), (20, "; and 8 more")])
def test_many_changes_are_counted_and_the_first_twelve_shown(count, more):
    evidence = check_counters(subject_of(with_more(count)))
    assert {c.name: c.measured for c in evidence.criteria} == {"cluster": 0, "water": count}
    assert evidence.message.count("water: operator") == 12
    assert evidence.message.endswith(
        f"(+1){more}; see `mlffd golden diff`, and accept what is intended"
    )


def test_a_place_that_is_new_or_gone_fails():
    gone = {"water": COUNTED["water"]}
    assert failing(check_counters(subject_of(gone))) == {"cluster"}
    assert failing(check_counters(subject_of({**COUNTED, "new": {"edges": 1}}))) == {"new"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject": "other"}, "incomparable: the golden counters are those of 'other'"),
        ({"torch": "1.0"}, "incomparable: the golden counters are of torch 1.0, this is torch "),
    ],
)
def test_counts_of_something_else_decide_nothing(changes, message):
    evidence = check_counters(subject_of(COUNTED, **changes))
    assert evidence.verdict is Verdict.INVALID
    assert evidence.message.startswith(message)


def test_counts_that_were_never_accepted_are_missing():
    subject = subject_of(COUNTED)
    subject.golden_counters = None
    evidence = check_counters(subject)
    assert evidence.verdict is Verdict.INVALID
    assert evidence.message.startswith("counters.json: missing; review and accept one")


def test_counts_that_nobody_names_are_not_asked_for():
    subject = subject_of(COUNTED)
    assert plan([subject], ["counters"]).omissions == []
    subject.counters_path = None
    (omission,) = plan([subject], ["counters", "loads"]).omissions
    assert omission.check == "counters"
