"""From verdicts at several sizes to a detection limit, and to what escaped."""

from dataclasses import replace

import pytest

from mlffd.errors import InputError
from mlffd.faults.catalogue import Fault
from mlffd.faults.trying import Result, Trial
from mlffd.verdicts import Verdict

FAIL, PASS, INVALID = Verdict.FAIL, Verdict.PASS, Verdict.INVALID


def fault(**changes) -> Fault:
    made = Fault(
        name="wrong",
        concern="weights",
        summary="",
        imitates="",
        seen_in="",
        caught_by=("accuracy",),
        refused_by=(),
        sizes=(0.1, 1.0, 10.0),
        unit="eV",
        limit=1.0,
        plant=None,
    )
    return replace(made, **changes)


def result(*rows: tuple[float, dict[str, Verdict]]) -> Result:
    return Result("wrong", [Trial(size, verdicts) for size, verdicts in rows], 1.0)


def test_the_limit_is_the_least_size_with_all_larger_ones():
    found = result(
        (10.0, {"accuracy": FAIL, "loads": PASS}),
        (1.0, {"accuracy": FAIL}),
        (0.1, {"accuracy": PASS}),
    )
    assert found.limit("accuracy") == 1.0
    assert found.limit("loads") is None
    assert found.checks == ["accuracy"]
    assert found.escapes(fault()) == []


def test_a_small_one_that_is_seen_by_chance_is_no_limit():
    found = result((10.0, {"accuracy": FAIL}), (1.0, {"accuracy": PASS}), (0.1, {"accuracy": FAIL}))
    assert found.limit("accuracy") == 10.0


def test_what_is_not_seen_at_its_stated_limit_has_escaped():
    found = result((10.0, {"accuracy": FAIL}), (1.0, {"accuracy": INVALID}), (0.1, {}))
    assert found.escapes(fault()) == ["accuracy: invalid at 1 eV"]
    assert found.escapes(fault(limit=10.0)) == []


def test_a_check_that_was_not_run_has_seen_nothing():
    assert result((10.0, {})).escapes(fault()) == ["accuracy: not run at 10 eV"]


def test_what_must_be_refused_may_not_pass():
    refusing = fault(caught_by=(), refused_by=("matches_golden",))
    assert result((10.0, {"matches_golden": INVALID})).escapes(refusing) == []
    assert result((10.0, {"matches_golden": PASS})).escapes(refusing) == [
        "matches_golden: pass at 10 eV"
    ]


def test_results_are_kept(tmp_path):
    found = result((10.0, {"accuracy": FAIL, "loads": PASS}))
    found.write(tmp_path / "wrong.json")
    assert Result.read(tmp_path / "wrong.json") == found


@pytest.mark.parametrize("text", ["", "{}", '{"trials": [{"size": 1}]}', "[]"])
def test_what_is_no_result_is_refused_by_name(tmp_path, text):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not the result of a fault"):
        Result.read(path)
