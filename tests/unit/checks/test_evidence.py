import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mlffd.checks.evidence import Criterion, Evidence, judge, plain
from mlffd.errors import InputError
from mlffd.verdicts import Verdict


@pytest.mark.parametrize("measured", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("limit", [0.0, 1e300, math.inf])
def test_what_is_not_finite_is_over_any_limit(measured, limit):
    criterion = Criterion("forces_max", measured, limit)

    assert not criterion.holds
    assert criterion.severity == math.inf
    assert judge([criterion], "").verdict is Verdict.FAIL


def test_a_limit_that_is_no_number_lets_nothing_pass():
    assert not Criterion("x", 0.0, math.nan).holds
    assert Criterion("x", 0.0, math.nan).severity == math.inf


@pytest.mark.parametrize(
    ("measured", "limit", "holds"),
    [(1.0, 1.0, True), (1.0000001, 1.0, False), (0, 0, True), (1, 0, False), (-1.0, 0.0, True)],
)
def test_a_limit_may_be_reached_but_not_passed(measured, limit, holds):
    assert Criterion("x", measured, limit).holds is holds


def test_severity_orders_criteria_of_different_units():
    far_over = Criterion("a", 1e-5, 1e-8, "eV")
    over = Criterion("b", 3.0, 1.0, "eV/Å")
    under = Criterion("c", 90.0, 100.0, "K")
    at_zero = Criterion("d", 0, 0)
    over_zero = Criterion("e", 1, 0)

    ordered = sorted([under, over_zero, at_zero, far_over, over], key=lambda c: c.severity)

    assert ordered == [at_zero, under, over, far_over, over_zero]
    assert all(c.holds is (c.severity <= 1.0) for c in ordered)


def test_the_worst_criterion_is_the_one_furthest_over():
    evidence = judge([Criterion("a", 5.0, 10.0), Criterion("b", 2.0, 1.0)], "")

    assert evidence.worst.name == "b"
    assert [c.name for c in evidence.failing] == ["b"]
    assert evidence.verdict is Verdict.FAIL


def test_one_number_that_is_none_is_worst_in_any_position():
    nan = Criterion("nan", math.nan, 1.0)
    for criteria in ([nan, Criterion("b", 9.0, 1.0)], [Criterion("b", 9.0, 1.0), nan]):
        assert judge(criteria, "").worst is nan


def test_all_criteria_within_their_limits_pass():
    evidence = judge([Criterion("a", 1.0, 1.0), Criterion("b", 0, 0)], "well", {"n": 2})

    assert evidence.verdict is Verdict.PASS
    assert evidence.failing == ()
    assert evidence.details == {"n": 2}


def test_a_check_without_criteria_cannot_be_judged():
    with pytest.raises(ValueError, match="without criteria cannot fail"):
        judge([], "nothing was measured")


def test_other_limits_change_the_verdict_in_both_directions():
    evidence = judge([Criterion("a", 2.0, 1.0), Criterion("b", 2.0, 5.0)], "")

    wider = evidence.with_limits({"a": 3.0})
    assert wider.verdict is Verdict.PASS
    assert [c.limit for c in wider.criteria] == [3.0, 5.0]
    assert wider.with_limits({"b": 1.0}).verdict is Verdict.FAIL
    assert evidence.with_limits({}) == evidence


def test_a_limit_of_no_criterion_is_an_input_error():
    evidence = Evidence(Verdict.PASS, "", (Criterion("a", 0, 1),), subject="tiny", check="loads")

    with pytest.raises(InputError, match=r"tiny\.limits\.loads: unknown \['b'\].*has: a"):
        evidence.with_limits({"b": 1.0})


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.INCONCLUSIVE])
def test_no_limit_turns_what_was_not_measured_into_a_pass(verdict):
    evidence = Evidence(verdict, "no golden", (Criterion("a", 2.0, 1.0),))

    assert evidence.with_limits({"a": 3.0}) is evidence


def test_a_failure_for_another_reason_survives_any_limit():
    """As of an improvement whose golden was not accepted: no criterion is over its limit."""
    evidence = Evidence(Verdict.FAIL, "improved", (Criterion("change", -0.2, 1e-6),))

    assert evidence.with_limits({"change": 0.5}).verdict is Verdict.FAIL


def test_evidence_is_strict_json():
    evidence = Evidence(
        Verdict.FAIL,
        "energies are NaN",
        (Criterion("energy_max", math.nan, 1e-8, "eV/atom"), Criterion("n", 0, 0)),
        {
            "nan": math.nan,
            "numpy": {"scalar": np.float32(0.5), "bool": np.True_, "inf": np.float64(-np.inf)},
            "array": np.array([[1.0, np.nan]]),
            "tensor": torch.tensor([1, 2]),
            "tuple": (1, None),
            "set": frozenset({8, 1, 6}),
            "path": Path("a.pt"),
            6: Verdict.PASS,
        },
        subject="tiny",
        check="loads",
    )

    text = json.dumps(evidence.as_dict(), allow_nan=False)

    found = json.loads(text)
    assert list(found) == [
        "subject",
        "check",
        "verdict",
        "measured",
        "limit",
        "unit",
        "message",
        "details",
    ]
    assert (found["verdict"], found["measured"], found["limit"]) == ("fail", None, 1e-8)
    assert found["unit"] == "eV/atom"
    assert found["details"] == {
        "nan": None,
        "numpy": {"scalar": 0.5, "bool": True, "inf": None},
        "array": [[1.0, None]],
        "tensor": [1, 2],
        "tuple": [1, None],
        "set": [1, 6, 8],
        "path": "a.pt",
        "6": "pass",
        "criteria": {
            "energy_max": {"measured": None, "limit": 1e-8, "unit": "eV/atom"},
            "n": {"measured": 0, "limit": 0, "unit": ""},
        },
    }


def test_evidence_without_criteria_is_json_too():
    found = Evidence(Verdict.INVALID, "no golden").as_dict()

    assert (found["measured"], found["limit"], found["unit"]) == (None, None, "")
    assert found["details"] == {"criteria": {}}


def test_plain_keeps_plain_values():
    value = {"a": [1, 2.5, True, None, "text"], "b": {"c": []}}

    assert plain(value) == value
    assert plain(True) is True
