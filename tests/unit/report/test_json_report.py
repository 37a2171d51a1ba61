import json

import pytest

from mlffd.checks.cases import Omission
from mlffd.checks.evidence import Criterion, Evidence
from mlffd.checks.run import Run
from mlffd.errors import InputError
from mlffd.report.json_report import write_collected, write_json
from mlffd.verdicts import Verdict


def refuse(constant):
    raise AssertionError(f"not strict JSON: {constant}")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def make(verdict, subject="tiny", check="loads", measured=float("nan"), **details):
    criterion = Criterion("forces_max", measured, 1e-7, "eV/Å")
    return Evidence(verdict, "größer", (criterion,), details, subject=subject, check=check)


def test_a_run_is_written_as_strict_json(tmp_path):
    run = Run(
        [make(Verdict.FAIL, worst=[float("inf")])],
        [Omission("tiny", "x", "why")],
        {"device": "cpu"},
    )

    write_json(run, tmp_path / "run.json")

    found = read(tmp_path / "run.json")
    assert set(found) == {
        "verdict",
        "exit_code",
        "environment",
        "evidence",
        "omitted",
        "not_run",
        "standings",
    }
    assert (found["verdict"], found["exit_code"]) == ("fail", 1)
    (evidence,) = found["evidence"]
    assert evidence["measured"] is None
    assert evidence["details"]["worst"] == [None]
    assert evidence["message"] == "größer"
    assert "größer" in (tmp_path / "run.json").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")
    broken = Run([], [], {"device": object()})

    with pytest.raises(TypeError):
        write_json(broken, path)

    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_that_is_not_there_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"run\.json: cannot write here"):
        write_json(Run([], [], {}), tmp_path / "none" / "run.json")


def test_evidence_of_several_processes_becomes_one_report_in_a_fixed_order(tmp_path):
    parts = [
        make(Verdict.PASS, "tiny", "loads").as_dict(),
        make(Verdict.INVALID, "mini", "accuracy").as_dict(),
        make(Verdict.PASS, "mini", "loads").as_dict(),
    ]
    omissions = [Omission("mini", "element_coverage", "nobody asks")]

    write_collected(parts, omissions, tmp_path / "a.json")
    write_collected(parts[::-1], omissions, tmp_path / "b.json")

    found = read(tmp_path / "a.json")
    assert [(e["subject"], e["check"]) for e in found["evidence"]] == [
        ("mini", "accuracy"),
        ("mini", "loads"),
        ("tiny", "loads"),
    ]
    assert (found["verdict"], found["exit_code"]) == ("invalid", 3)
    assert found["omitted"] == [omissions[0]._asdict()]
    assert found["evidence"] == read(tmp_path / "b.json")["evidence"]


def test_no_evidence_is_invalid(tmp_path):
    write_collected([], [], tmp_path / "a.json")

    assert (read(tmp_path / "a.json")["verdict"], read(tmp_path / "a.json")["exit_code"]) == (
        "invalid",
        3,
    )


def test_both_reports_have_the_same_form(tmp_path):
    write_json(Run([make(Verdict.PASS)], [], {}), tmp_path / "a.json")
    write_collected([make(Verdict.PASS).as_dict()], [], tmp_path / "b.json")

    one, other = read(tmp_path / "a.json"), read(tmp_path / "b.json")
    assert list(one) == list(other)
    assert one["evidence"] == other["evidence"]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([Verdict.PASS], ("inconclusive", 3)),
        ([Verdict.PASS, Verdict.FAIL], ("fail", 1)),
        ([Verdict.PASS, Verdict.INVALID], ("invalid", 3)),
        ([], ("invalid", 3)),
    ],
)
def test_a_part_of_the_cases_does_not_pass_for_all_of_them(tmp_path, verdicts, expected):
    parts = [make(v, check=f"c{i}").as_dict() for i, v in enumerate(verdicts)]

    write_collected(parts, [], tmp_path / "a.json", not_run=[("tiny", "accuracy")])

    found = read(tmp_path / "a.json")
    assert (found["verdict"], found["exit_code"]) == expected
    assert found["not_run"] == [{"subject": "tiny", "check": "accuracy"}]


@pytest.mark.parametrize(
    "verdicts", [[Verdict.PASS, Verdict.INVALID, Verdict.FAIL], [Verdict.PASS] * 2]
)
def test_a_case_that_was_run_repeatedly_is_reported_once_with_its_worst_verdict(tmp_path, verdicts):
    for order in (verdicts, verdicts[::-1]):
        write_collected([make(v).as_dict() for v in order], [], tmp_path / "a.json")

        (evidence,) = read(tmp_path / "a.json")["evidence"]
        assert evidence["verdict"] == verdicts[-1]


def test_the_settings_are_named(tmp_path):
    write_collected([], [], tmp_path / "a.json", settings=tmp_path / "mlffd.toml")

    assert read(tmp_path / "a.json")["environment"]["settings"] == str(tmp_path / "mlffd.toml")
