"""The pytest plugin: what it adds to a session with an ``mlffd.toml``, and to others nothing."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from small_project import Project

from mlffd.checks.cases import configured_subjects, plan
from mlffd.checks.proposing import propose, propose_counters
from mlffd.checks.run import run_cases
from mlffd.checks.subjects import StudentSubject
from mlffd.cli import main
from mlffd.config import load_settings
from mlffd.report.json_report import write_json

FAST = "loads or finite_weights or net_force or dataset_valid"


@pytest.fixture(scope="session", autouse=True)
def _everything_is_imported(template, tmp_path_factory) -> None:
    """A session within this process forgets what it was the first to import.

    Parts of torch that are imported on first use cannot be imported a second time.
    """
    subjects = configured_subjects(load_settings(template / "mlffd.toml"))
    cases, omissions = plan(subjects, ["loading", "net_force_and_torque", "data"])
    write_json(run_cases(cases, omissions), tmp_path_factory.mktemp("warm") / "run.json")
    for subject in subjects:
        propose(subject)
        if isinstance(subject, StudentSubject):
            propose_counters(subject)


@pytest.fixture
def project(template, pytester, monkeypatch) -> Project:
    """A small project in the folder in which pytester runs pytest."""
    # What the plugin sets in this process is undone; it leaves alone what somebody else has set.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copytree(template, pytester.path, dirs_exist_ok=True)
    return Project(pytester.path)


def evidence_of(project: Project, name: str = "run.json") -> dict[tuple[str, str], str]:
    document = json.loads((project.folder / name).read_text())
    return {(e["subject"], e["check"]): e["verdict"] for e in document["evidence"]}


def accept(monkeypatch, proposed: str) -> object:
    """The exit code of ``mlffd golden accept``."""
    arguments = ["golden", "accept", "--proposed", proposed, "--reason", "for a test"]
    monkeypatch.setattr(sys, "argv", ["mlffd", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


# --- sessions that have nothing to do with mlffd


def test_importing_the_plugin_imports_nothing_heavy():
    code = "import mlffd.pytest_plugin, sys; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert modules.returncode == 0, modules.stderr
    assert "mlffd.pytest_plugin" in modules.stdout.split()
    assert not {"torch", "numpy", "ase", "pydantic", "h5py"} & set(modules.stdout.split())


def test_a_session_without_settings_is_left_alone(pytester, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pytester.makepyfile(
        """
        import os, sys

        def test_untouched():
            assert "mlffd.pytest_plugin" in sys.modules
            assert "torch" not in sys.modules
            assert "pydantic" not in sys.modules
            assert "OMP_NUM_THREADS" not in os.environ
        """
    )
    result = pytester.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*mlffd:*")


@pytest.mark.parametrize("option", ["--mlffd", "--mlffd-json=x.json", "--mlffd-propose=x.json"])
def test_options_need_settings(pytester, option):
    result = pytester.runpytest_inprocess(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    expected = (
        f"ERROR: {option.split('=')[0]}: no mlffd.toml in {pytester.path} or in a folder above"
    )
    result.stderr.fnmatch_lines([expected])


# --- what is collected


def test_settings_alone_change_no_session(project, pytester):
    """Only ``--mlffd`` adds tests."""
    pytester.makepyfile("def test_own(): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)


def test_one_test_for_each_subject_and_check(project, pytester):
    result = pytester.runpytest_inprocess("--mlffd", "--collect-only", "-q")
    lines = [line for line in result.outlines if line.startswith("mlffd.toml::")]
    assert len(lines) == len(set(lines)) == 22
    for name in ("small-loads", "small-rotation_equivariance", "data-dataset_valid"):
        assert f"mlffd.toml::{name}" in lines
    assert "mlffd.toml::data-loads" not in lines


def test_the_same_cases_as_the_command(project, pytester):
    cases = plan(configured_subjects(load_settings(project.settings))).cases
    result = pytester.runpytest_inprocess("--mlffd", "--collect-only", "-q")
    collected = [line for line in result.outlines if line.startswith("mlffd.toml::")]
    assert collected == [f"mlffd.toml::{case.id}" for case in cases]


def test_own_tests_and_cases_run_together(project, pytester):
    pytester.makepyfile(test_own="def test_loads_of_fun(): pass")
    result = pytester.runpytest_inprocess("--mlffd", "-k", "loads")
    result.assert_outcomes(passed=2, deselected=21)


def test_one_case_can_be_run_by_its_id(project, pytester):
    result = pytester.runpytest_inprocess("--mlffd", "mlffd.toml::small-loads")
    result.assert_outcomes(passed=1)


def test_settings_in_folders_below_are_somebody_elses(project, pytester):
    below = project.folder / "below"
    below.mkdir()
    (below / "mlffd.toml").write_text("[students.other]\ncheckpoint = '../small.pt'\n")
    result = pytester.runpytest_inprocess("--mlffd", ".", "--collect-only", "-q")
    assert not any("other" in line for line in result.outlines)


def test_concerns_are_markers(project, pytester):
    result = pytester.runpytest_inprocess(
        "--mlffd", "--strict-markers", "-m", "mlffd_physics", "--collect-only", "-q"
    )
    chosen = [line for line in result.outlines if line.startswith("mlffd.toml::")]
    assert "mlffd.toml::small-permutation_invariance" in chosen
    assert "mlffd.toml::small-loads" not in chosen


def test_the_header_names_what_is_under_test(project, pytester):
    result = pytester.runpytest_inprocess("--collect-only")
    result.stdout.fnmatch_lines(
        ["mlffd: mlffd.toml: students: small (small.pt); data sets: data (data.h5)"]
    )
    with project.settings.open("a") as settings:
        settings.write("[artifacts.exported]\npath = 'out/a.onnx'\nreference = 'small.pt'\n")
    result = pytester.runpytest_inprocess("--collect-only")
    result.stdout.fnmatch_lines(["*; data sets: data (data.h5); artifacts: exported (out/a.onnx)"])


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_settings_above_the_root_are_found_as_by_the_command(
    project, pytester, monkeypatch, workers
):
    below = project.folder / "deep" / "er"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    options = ["--mlffd", "-v", "-k", "loads", "--rootdir", str(below), "--mlffd-json=run.json"]
    result = pytester.runpytest_inprocess(*options, *workers)
    result.assert_outcomes(passed=1, deselected=0 if workers else 21)
    result.stdout.fnmatch_lines(["mlffd: ../../mlffd.toml: *", "*../../mlffd.toml::small-loads*"])
    assert evidence_of(project, "deep/er/run.json") == {("small", "loads"): "pass"}


def test_bad_settings_are_a_collection_error_that_says_where(project, pytester):
    project.settings.write_text("[students.small]\nchekpoint = 'small.pt'\n")
    result = pytester.runpytest_inprocess("--mlffd")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR collecting mlffd.toml*", "*mlffd.toml: *students.small.chekpoint: unknown key*"]
    )
    assert "Traceback" not in result.stdout.str()


# --- outcomes


def test_a_failure_shows_its_evidence_and_meaning_without_a_traceback(project, pytester):
    content = project.settings.read_text()
    project.settings.write_text(
        content.replace("nve_picoseconds = 0.05", "nve_picoseconds = 0.05\nparameters = 5")
    )
    result = pytester.runpytest_inprocess("--mlffd", "-k", "parameter_count or loads")
    result.assert_outcomes(passed=1, failed=1, deselected=20)
    result.stdout.fnmatch_lines(
        [
            "*small-parameter_count*",
            "small: parameter_count: fail: * parameters, 5 declared",
            "  difference: * (limit 0)",
            "If this fails, it probably means that another student was saved under this name*",
        ]
    )
    output = result.stdout.str()
    assert "Traceback" not in output
    assert "pytest_plugin.py" not in output


def test_what_cannot_be_measured_fails_too(project, pytester):
    result = pytester.runpytest_inprocess("--mlffd", "-k", "matches_golden")
    result.assert_outcomes(failed=1, deselected=21)
    result.stdout.fnmatch_lines(["small: matches_golden: invalid: *", "mlffd: 1 cases: 1 invalid"])


def test_the_report_is_that_of_the_command(project, pytester):
    project.settings.write_text("[datasets.data]\npath = 'data.h5'\n")
    result = pytester.runpytest_inprocess("--mlffd", "--mlffd-json=run.json")
    result.assert_outcomes(passed=2)
    report = json.loads((project.folder / "run.json").read_text())
    settings = load_settings(project.settings)
    cases, omissions = plan(configured_subjects(settings))
    expected = run_cases(cases, omissions, settings=settings.source).as_dict()
    for document in (report, expected):
        document["environment"].pop("date")
    assert report == expected
    assert (report["verdict"], report["exit_code"]) == ("pass", 0)


def test_a_selection_does_not_pass_for_the_whole(project, pytester):
    result = pytester.runpytest_inprocess("--mlffd", "-k", FAST, "--mlffd-json=run.json")
    result.assert_outcomes(passed=4, deselected=18)
    assert result.ret == 0
    document = json.loads((project.folder / "run.json").read_text())
    assert (document["verdict"], document["exit_code"]) == ("inconclusive", 3)
    assert {"subject": "small", "check": "accuracy"} in document["not_run"]
    assert len(document["not_run"]) == 18
    assert set(evidence_of(project)) == {
        ("small", "loads"),
        ("small", "finite_weights"),
        ("small", "net_force_and_torque"),
        ("data", "dataset_valid"),
    }


def test_a_report_without_a_case_fails_the_session(project, pytester):
    """A job that asks for evidence and forgets ``--mlffd`` must not be green."""
    pytester.makepyfile("def test_own(): pass")
    result = pytester.runpytest_inprocess("--mlffd-json=run.json")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["mlffd: no case was measured: the session fails"])
    assert json.loads((project.folder / "run.json").read_text())["verdict"] == "invalid"
    assert pytester.runpytest_inprocess().ret == 0


def test_what_does_not_concern_a_subject_is_in_the_report(project, pytester):
    project.settings.write_text("[students.small]\ncheckpoint = 'small.pt'\n")
    pytester.runpytest_inprocess("--mlffd", "-k", "loads", "--mlffd-json=run.json")
    omitted = json.loads((project.folder / "run.json").read_text())["omitted"]
    assert ("small", "accuracy") in {(o["subject"], o["check"]) for o in omitted}


def test_workers_give_the_same_outcomes_one_report_and_one_set_of_proposals(
    project, pytester, monkeypatch
):
    selection = ["--mlffd", "-k", f"{FAST} or matches_golden or coverage"]
    alone = pytester.runpytest_inprocess(*selection, "--mlffd-json=alone.json")
    # Each worker gets its share of the cores, unless somebody has decided otherwise.
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    pytester.makepyfile("import os\ndef test_loads(): assert os.environ['OMP_NUM_THREADS'] == '3'")
    outputs = ["--mlffd-json=shared.json", "--mlffd-propose=new.json"]
    shared = pytester.runpytest_inprocess(*selection, "-n", "2", *outputs)
    assert alone.parseoutcomes() == {"passed": 5, "failed": 2, "deselected": 15}
    assert shared.parseoutcomes() == {"passed": 6, "failed": 2}
    assert evidence_of(project, "shared.json") == evidence_of(project, "alone.json")
    assert len(evidence_of(project, "shared.json")) == 7
    assert accept(monkeypatch, "new.json") == 0


def test_a_number_of_threads_that_was_chosen_is_kept(project, pytester, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    pytester.makepyfile("import os\ndef test_it(): assert os.environ['OMP_NUM_THREADS'] == '5'")
    pytester.runpytest_inprocess("-n", "1").assert_outcomes(passed=1)


def test_a_case_that_ends_before_it_has_measured_makes_the_report_invalid(project, pytester):
    """As when a worker dies: what is left must not pass for the whole."""
    pytester.makeconftest(
        """
        def pytest_runtest_setup(item):
            if "finite" in item.name:
                raise RuntimeError("out of memory")
        """
    )
    pytester.runpytest_inprocess("--mlffd", "-k", FAST, "--mlffd-json=run.json")
    assert evidence_of(project)["small", "loads"] == "pass"
    assert evidence_of(project)["small", "finite_weights"] == "invalid"
    assert json.loads((project.folder / "run.json").read_text())["exit_code"] == 3


PARAMETRIZED = """
from pathlib import Path
from mlffd.testing import parametrize_with_checks

@parametrize_with_checks("loading", config=Path(__file__).parent / "mlffd.toml")
def test_loading(mlffd_case, mlffd_gate):
    mlffd_gate(mlffd_case)
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_the_case_of_a_test_is_known_whatever_its_name(project, pytester, workers):
    """Pytest escapes what is not ASCII in the names of parametrized tests."""
    project.settings.write_text("[students.'größe [1]']\ncheckpoint = 'small.pt'\n")
    pytester.makepyfile(test_own=PARAMETRIZED)
    pytester.makeconftest(
        """
        def pytest_runtest_setup(item):
            if "finite" in item.name:
                raise RuntimeError("out of memory")
        """
    )
    pytester.runpytest_inprocess("--mlffd-json=run.json", *workers)
    assert evidence_of(project) == {
        ("größe [1]", "loads"): "pass",
        ("größe [1]", "finite_weights"): "invalid",
        ("größe [1]", "parameter_count"): "pass",
    }


def test_a_case_that_is_tested_twice_is_one_case(project, pytester):
    pytester.makepyfile(test_own=PARAMETRIZED)
    result = pytester.runpytest_inprocess("--mlffd", "-k", "loads", "--mlffd-json=run.json")
    result.assert_outcomes(passed=2, deselected=23)
    result.stdout.fnmatch_lines(["mlffd: 1 cases: 1 pass"])
    document = json.loads((project.folder / "run.json").read_text())
    assert [(e["subject"], e["check"]) for e in document["evidence"]] == [("small", "loads")]


def test_a_tolerated_defect_is_told(project, pytester):
    with project.settings.open("a") as file:
        file.write(
            "[students.other]\ncheckpoint = 'small.pt'\nparameters = 5\n"
            "[students.other.known_defects.parameter_count]\nreason = 'to be seen'\nlimit = 1500\n"
        )
    result = pytester.runpytest_inprocess("--mlffd", "-k", "other-parameter_count")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mlffd: other: parameter_count: pass: known defect (to be seen)*"])


def test_a_session_that_stops_early_makes_the_report_invalid(project, pytester):
    pytester.makepyfile(test_own="def test_loads(): assert False")
    pytester.runpytest_inprocess(
        "--mlffd", "-x", "-k", "loads", "test_own.py", "--mlffd-json=run.json"
    )
    assert set(evidence_of(project).values()) == {"invalid"}


@pytest.mark.parametrize("option", ["--mlffd-json", "--mlffd-propose"])
def test_a_destination_that_is_not_there_is_refused_at_once(project, pytester, option):
    result = pytester.runpytest_inprocess("--mlffd", f"{option}=absent/run.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option}: absent/run.json: the folder * does not exist"])


# --- cases in test files


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_one_test_can_run_several_cases(project, pytester, workers):
    pytester.makepyfile(
        """
        from pathlib import Path
        from mlffd.checks.cases import configured_subjects, plan
        from mlffd.config import load_settings

        def test_all(mlffd_gate):
            settings = load_settings(Path(__file__).parent / "mlffd.toml")
            for case in plan(configured_subjects(settings), ["loading"]).cases:
                mlffd_gate(case)
        """
    )
    result = pytester.runpytest_inprocess("--mlffd-json=run.json", *workers)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["mlffd: 3 cases: 3 pass"])
    assert set(evidence_of(project).values()) == {"pass"}
    assert len(evidence_of(project)) == 3


def test_cases_can_be_tests_of_a_file(project, pytester):
    pytester.makepyfile(PARAMETRIZED)
    result = pytester.runpytest_inprocess("-v", "-m", "mlffd_loading", "--mlffd-json=run.json")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*::test_loading?small-loads? PASSED*"])
    assert ("small", "loads") in evidence_of(project)


def test_a_test_file_without_cases_is_an_error(project, pytester):
    project.settings.write_text("")
    pytester.makepyfile(
        """
        from mlffd.testing import parametrize_with_checks

        @parametrize_with_checks("physics", config="mlffd.toml")
        def test_physics(mlffd_case, mlffd_gate):
            mlffd_gate(mlffd_case)
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*UsageError: nothing to check*"])


# --- goldens


def test_a_run_proposes_goldens_and_writes_none(project, pytester, monkeypatch):
    selection = ["--mlffd", "-k", "matches_golden or accuracy or coverage"]
    before = project.files()
    options = ["--mlffd-propose=new.json", "-p", "no:cacheprovider"]
    first = pytester.runpytest_inprocess(*selection, *options)
    first.assert_outcomes(passed=1, failed=3, deselected=18)
    assert project.files() - before == {"new.json"}
    assert accept(monkeypatch, "new.json") == 0
    pytester.runpytest_inprocess(*selection).assert_outcomes(passed=4, deselected=18)


def test_counters_are_proposed_beside_the_goldens(project, pytester, monkeypatch):
    text = project.settings.read_text()
    named = text.replace('dataset = "data"', 'dataset = "data"\ncounters = "golden/costs.json"')
    project.settings.write_text(named)
    selection = ["--mlffd", "-n", "2", "-k", "matches_golden or coverage or counters"]
    first = pytester.runpytest_inprocess(*selection, "--mlffd-propose=new.json")
    first.assert_outcomes(passed=1, failed=3)
    assert accept(monkeypatch, "new.json") == 0
    assert json.loads((project.folder / "golden" / "costs.json").read_text())["subject"] == "small"
    again = pytester.runpytest_inprocess("--mlffd", "-m", "mlffd_speed")
    again.assert_outcomes(passed=1, deselected=22)


def test_proposals_of_a_run_that_left_something_out_are_not_accepted(
    project, pytester, monkeypatch, capsys
):
    pytester.runpytest_inprocess("--mlffd", "-k", "dataset_coverage", "--mlffd-propose=new.json")
    before = project.files()
    capsys.readouterr()
    assert accept(monkeypatch, "new.json") == 2
    assert "incomplete run, without: small" in capsys.readouterr().err
    assert project.files() == before
