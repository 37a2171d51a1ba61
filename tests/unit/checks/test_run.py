import json
from itertools import permutations
from pathlib import Path

import pytest
import torch

import mlffd
from mlffd.checks.cases import plan
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.run import Run, load_settings_for, run_cases
from mlffd.checks.subjects import StudentSubject
from mlffd.errors import InputError
from mlffd.verdicts import EXIT_CODES, Verdict, overall


def run_of(*verdicts):
    return Run(
        [Evidence(v, "", subject="tiny", check=f"c{i}") for i, v in enumerate(verdicts)], [], {}
    )


@pytest.mark.parametrize(
    ("verdicts", "expected", "code"),
    [
        ([Verdict.PASS], Verdict.PASS, 0),
        ([Verdict.PASS, Verdict.PASS], Verdict.PASS, 0),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], Verdict.INCONCLUSIVE, 3),
        ([Verdict.PASS, Verdict.INVALID, Verdict.INCONCLUSIVE], Verdict.INVALID, 3),
        ([Verdict.PASS, Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.FAIL], Verdict.FAIL, 1),
    ],
)
def test_the_worst_verdict_is_that_of_the_run_in_any_order(verdicts, expected, code):
    for order in permutations(verdicts):
        assert run_of(*order).verdict is expected
        assert run_of(*order).exit_code == code


def test_no_evidence_is_no_pass():
    assert run_of().verdict is Verdict.INVALID
    assert run_of().exit_code == 3
    assert overall(iter(())) is Verdict.INVALID


def test_every_verdict_has_an_exit_code_and_only_pass_has_zero():
    assert set(EXIT_CODES) == set(Verdict)
    assert [v for v, code in EXIT_CODES.items() if code == 0] == [Verdict.PASS]
    assert 2 not in EXIT_CODES.values()  # of bad usage


@pytest.fixture
def cases(empty_registry, tmp_path):
    def function(subject):
        """Fail.

        If this fails, it probably means that it was told to.
        """
        return judge([Criterion("x", float("nan"), 1.0, "eV")], "nan")

    for name in ("first", "second"):
        check(name, concern="physics", kind=StudentSubject)(function)
    check("third", concern="golden", kind=StudentSubject, unless=lambda s: "no golden")(function)
    return plan([StudentSubject(name="tiny", path=tmp_path / "tiny.pt")])


def test_cases_run_in_order_and_progress_is_told_before_each(cases):
    told = []

    run = run_cases(*cases, before=lambda case: told.append(case.check.name))

    assert told == [e.check for e in run.evidence] == ["first", "second"]
    assert run.verdict is Verdict.FAIL


def test_a_run_is_strict_json_with_everything_in_it(cases):
    found = json.loads(json.dumps(run_cases(*cases).as_dict(), allow_nan=False))

    assert list(found) == [
        "verdict",
        "exit_code",
        "environment",
        "evidence",
        "omitted",
        "not_run",
        "standings",
    ]
    assert (found["verdict"], found["exit_code"]) == ("fail", 1)
    assert [e["check"] for e in found["evidence"]] == ["first", "second"]
    assert found["omitted"] == [{"subject": "tiny", "check": "third", "reason": "no golden"}]
    assert found["environment"]["device"] == "cpu"
    assert found["environment"]["versions"]["torch"] == torch.__version__


def test_a_device_that_is_not_there_is_bad_input_before_anything_runs(cases):
    told = []

    with pytest.raises(InputError, match="device 'cuda:99'"):
        run_cases(*cases, device="cuda:99", before=told.append)
    assert told == []


def test_settings_are_found_above_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "mlffd.toml").write_text("strict = true\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")

    assert load_settings_for(None, needed=True).strict


def test_the_commit_is_that_of_the_settings_not_of_the_working_folder(cases, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("mlffd.checks.run.describe_commit", lambda f: asked.append(f) or {})

    environment = run_cases(*cases, settings=tmp_path / "mlffd.toml").environment
    run_cases(*cases)

    assert environment["settings"] == str(tmp_path / "mlffd.toml")
    assert asked == [tmp_path, Path.cwd()]


def test_settings_that_are_needed_and_not_there_are_an_input_error(tmp_path, monkeypatch):
    monkeypatch.setattr("mlffd.checks.run.find_settings", lambda start: None)

    with pytest.raises(InputError, match=r"no mlffd\.toml here or in a folder above"):
        load_settings_for(None, needed=True)
    assert load_settings_for(None, needed=False).students == {}
    with pytest.raises(InputError, match=r"other\.toml: cannot be read"):
        load_settings_for(tmp_path / "other.toml", needed=False)


def test_checks_are_run_from_python(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    found = mlffd.run_checks(checkpoint, only=["loading"])

    assert [(e.check, e.verdict) for e in found] == [
        ("loads", Verdict.PASS),
        ("finite_weights", Verdict.PASS),
        ("parameter_count", Verdict.PASS),
    ]
    with pytest.raises(InputError, match="unknown check or concern: velocity"):
        mlffd.run_checks(checkpoint, only=["velocity"])
