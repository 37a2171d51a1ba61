"""`mlffd perf gate`: exit codes, what it prints, and what it writes."""

import json
import tomllib

import pytest
from measured_project import HOSTILE, SLOWER, WORSE, make_measured, store_ratios
from mlffd_command import assert_refused

from mlffd.performance_settings import Acceptance

pytest.importorskip("otava.analysis", reason="pip install --no-deps apache-otava==0.8.0")

SLOW = [f"tiny/eager/fp32/cpu/{system}" for system in ("batch1", "batch32", "batch512")]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A history in which one commit is slower, and a later one less accurate."""
    measured = make_measured(tmp_path_factory.mktemp("measured"))
    store_ratios(measured)
    return measured


@pytest.fixture
def gate(measured, mlffd, monkeypatch, tmp_path):
    """The command in that repository, with settings of this test."""
    monkeypatch.chdir(measured.folder)
    settings = tmp_path / "mlffd.toml"

    def run(*arguments, accepted=()):
        meant = '{ of = ["time", "accuracy"], reason = "it is meant" }'
        lines = [f'"{commit[:12]}" = {meant}' for commit in accepted]
        settings.write_text("[performance.accepted]\n" + "\n".join(lines), encoding="utf-8")
        here = measured.folder / "mlffd.toml"
        here.write_text(settings.read_text())
        return mlffd("perf", "gate", *arguments)

    return run


def test_both_regressions_are_named_with_their_commits_and_the_rest_is_not(gate, measured):
    result = gate()
    assert result.code == 1
    regressions = [line for line in result.out.splitlines() if line.startswith("regression")]
    slower, worse = (measured.commits[index][:12] for index in (SLOWER, WORSE))
    found = {line.split()[2]: line for line in regressions}
    assert set(found) == {*SLOW, "ultra_tiny:"}
    for name in SLOW:
        assert slower in found[name]
        assert "+15" in found[name]
    errors = [line for line in regressions if "ultra_tiny: " in line]
    assert len(errors) == 2
    assert all(worse in line and "+8%" in line and "exact" in line for line in errors)
    advice = next(line for line in result.out.splitlines() if line.startswith("to accept one"))
    assert any(f'"{commit}" = {{ of = ["' in advice for commit in (slower, worse))
    assert result.out.splitlines()[-1].startswith("fail: ")


def test_what_is_accepted_passes_and_shows_its_reason(gate, measured):
    result = gate(accepted=[measured.commits[index] for index in (SLOWER, WORSE)])
    assert result.code == 0
    assert "regression" not in result.out
    assert f"{SLOW[0]}: accepted: it is meant" in result.out
    assert gate(accepted=[measured.commits[WORSE]]).code == 1


def test_the_advice_can_be_pasted(gate, measured):
    commit, told = gate().out.split("[performance.accepted]: ")[1].splitlines()[0].split(" = ", 1)
    one = tomllib.loads(f"{commit} = {told}")
    acceptance = Acceptance.model_validate(one[commit.strip('"')])
    assert acceptance.reason == "why"


def test_a_machine_that_must_measure_and_does_not_is_no_pass(gate, measured):
    accepted = [measured.commits[index] for index in (SLOWER, WORSE)]
    assert gate("--machine", "workbench", accepted=accepted).code == 0
    result = gate("--machine", "workbench", "--machine", "gpu", accepted=accepted)
    assert result.code == 3
    assert "gpu: expected to measure, but it has measured nothing" in result.out


def test_an_earlier_revision_passes(gate, measured):
    result = gate("--revision", measured.commits[SLOWER - 1])
    assert result.code == 0
    assert f"{22 - SLOWER} stored files are of commits outside this history" in result.out
    assert result.out.splitlines()[-1].startswith("pass: ")


def test_too_few_commits_are_inconclusive(gate, measured):
    result = gate("--revision", measured.commits[4])
    assert result.code == 3
    assert f"workbench: {SLOW[0]}: inconclusive: 3 more commits are needed" in result.out


def test_nothing_stored_is_no_pass(gate, tmp_path):
    result = gate("--ratios", tmp_path)
    assert result.code == 5
    assert "no ratios of HEAD" in result.err


def test_bad_input_is_refused_in_one_line(gate, tmp_path):
    assert_refused(gate("--revision", "nowhere"), "'nowhere'")
    assert_refused(gate("--json", tmp_path), "--json", "a folder")
    damaged = tmp_path / "ratios" / "desk" / "0123456789ab.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{}")
    assert_refused(gate("--ratios", tmp_path / "ratios"), "0123456789ab.json", "commit: ")


def test_the_same_is_written_as_json_and_markdown(gate, measured, tmp_path):
    result = gate("--json", tmp_path / "gate.json", "--markdown", tmp_path / "gate.md")
    document = json.loads((tmp_path / "gate.json").read_text(encoding="utf-8"))
    assert (document["verdict"], document["exit_code"]) == ("fail", result.code)
    regressions = [s for s in document["steps"] if s["standing"] == "regression"]
    assert {s["name"] for s in regressions if s["quantity"] == "time"} == set(SLOW)
    assert {tuple(s["commits"]) for s in regressions} == {
        (measured.commits[SLOWER],),
        (measured.commits[WORSE],),
    }
    text = (tmp_path / "gate.md").read_text(encoding="utf-8")
    assert text.startswith("**History: fail**")
    assert f"`{measured.commits[SLOWER][:12]}`" in text
    assert HOSTILE not in text  # the subject of the slow commit
    assert "\\<img" in text
