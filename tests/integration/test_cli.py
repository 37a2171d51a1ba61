"""The ``mlffd`` command: exit codes, output, and what it answers to bad input."""

import json
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mlffd_command import Result, Run, assert_refused, start
from small_project import (
    break_splits,
    save_student,
    shift_energies,
    small_student,
)

from mlffd.checkpoints import read_checkpoint
from mlffd.structures.dataset import Dataset, write_dataset

HTML = "<!DOCTYPE html><html><body>404 Not Found</body></html>"


class Payload:
    """A pickle that writes a file when it is loaded by a loader that trusts it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


# --- real processes: exit codes


def test_no_arguments_show_the_help_and_exit_2(project):
    result = start()
    assert result.code == 2
    assert "Usage: " in result.out + result.err
    assert "Traceback" not in result.err


def test_exit_0_for_a_student_that_passes(project):
    result = start("check", "small", "--only", "loading", "--json", "run.json")
    assert (result.code, result.err) == (0, "")
    assert json.loads((project.folder / "run.json").read_text())["exit_code"] == 0


def test_exit_1_for_a_regression(project):
    with project.settings.open("a") as file:
        file.write("[students.other]\ncheckpoint = 'small.pt'\nparameters = 5\n")
    result = start("check", "other", "--only", "parameter_count")
    assert (result.code, result.err) == (1, "")
    assert "5 declared" in result.out


def test_exit_2_and_no_side_effect_for_a_pickle_that_runs_code(project):
    marker = project.folder / "executed"
    torch.save({"model_state_dict": Payload(marker)}, project.folder / "evil.pt")
    result = start("check", "evil.pt")
    assert_refused(result, "evil.pt", "something other than tensors")
    assert not marker.exists()


def test_exit_3_for_a_golden_that_was_never_accepted(project):
    result = start("check", "small", "--only", "matches_golden")
    assert (result.code, result.err) == (3, "")
    assert "invalid" in result.out
    assert "mlffd golden accept" in result.out


# --- bad input: exit code 2, one line, nothing written


def test_there_is_something_to_refuse(project, mlffd):
    """The inputs below are good but for what each of them changes."""
    assert mlffd("check", project.checkpoint, project.dataset, "--only", "loads").code == 0


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


def with_nan(path: Path) -> Path:
    student = small_student(revision=1)
    with torch.no_grad():
        student.get_parameter("energy_head.0.weight")[0, 0] = float("nan")
    torch.save(student.state_dict(), path)
    return path


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("command", ["check", "inspect"])
@pytest.mark.parametrize(
    ("make", "fragments"),
    [
        (lambda p: p.folder / "absent.pt", ["absent.pt"]),
        (lambda p: p.folder, ["a folder, expected a checkpoint"]),
        (lambda p: written(p.folder / "e.pt", b""), ["e.pt", "expected a checkpoint", "empty"]),
        (lambda p: written(p.folder / "h.pt", HTML), ["h.pt", "expected a checkpoint", "HTML"]),
        (lambda p: truncate(p.checkpoint), ["small.pt", "truncated"]),
        (
            lambda p: written(p.folder / "p.pt", pickle.dumps(Payload(p.folder / "executed"))),
            ["p.pt", "expected a checkpoint", "bare pickle"],
        ),
    ],
    ids=["missing", "folder", "empty", "html", "truncated", "pickle"],
)
def test_a_file_that_is_no_checkpoint_is_refused(project, mlffd, command, make, fragments):
    path = make(project)
    before = project.files()
    assert_refused(mlffd(command, path), *fragments)
    assert project.files() == before


def test_check_refuses_weights_that_are_not_finite_and_inspect_shows_them(project, mlffd):
    path = with_nan(project.folder / "nan.pt")
    assert_refused(mlffd("check", path), "nan.pt", "NaN", "energy_head.0.weight")
    shown = mlffd("inspect", path)
    assert shown.code == 0
    assert "energy_head.0.weight has 1 values that are not finite" in shown.out


@pytest.mark.parametrize("command", [["check"], ["data", "info"]])
def test_a_data_set_with_wrong_splits_is_refused(project, mlffd, command):
    break_splits(project.dataset)
    result = mlffd(*command, project.dataset)
    assert_refused(result, "data.h5", "structures/atomic_numbers_splits")


@pytest.mark.parametrize("command", ["info", "validate"])
@pytest.mark.parametrize(
    ("make", "fragments"),
    [
        (lambda p: p.folder / "absent.h5", ["absent.h5", "No such file"]),
        (lambda p: p.folder, ["expected an HDF5 file"]),
        (lambda p: written(p.folder / "e.h5", b""), ["e.h5", "empty, expected an HDF5 file"]),
        (lambda p: written(p.folder / "h.h5", HTML), ["h.h5", "not an HDF5 file", "DOCTYPE"]),
        (lambda p: truncate(p.dataset), ["data.h5", "HDF5", "truncated"]),
    ],
    ids=["missing", "folder", "empty", "html", "truncated"],
)
def test_a_file_that_is_no_data_set_is_refused(project, mlffd, command, make, fragments):
    assert_refused(mlffd("data", command, make(project)), *fragments)


BAD_ARGUMENTS = [
    (["check", "--only", "beauty"], ["beauty", "concerns: loading", "rotation_equivariance"]),
    (["check", "small", "--only", "data"], ["nothing to check"]),
    (["check", "--elements", "H,Xx"], ["--elements", "H,Xx", "such as H,C,N,O"]),
    (["check", "nobody"], ["nobody", "neither a file nor a name"]),
    (["check", "--config", "absent.toml"], ["absent.toml", "cannot be read"]),
    (["check", "--device", "cuda:99"], ["cuda:99", "cannot be used here"]),
    (["check", "--device", "abacus"], ["abacus", "cannot be used here"]),
    (["check", "--json", "absent/run.json"], ["--json", "absent/run.json", "not exist"]),
    (["check", "--json", "."], ["--json", "a folder, expected a file"]),
    (["golden", "diff", "nobody"], ["nobody", "neither a file nor a name"]),
    (["golden", "diff", "--device", "cuda:99"], ["cuda:99", "cannot be used here"]),
    (["golden", "accept", "--reason", " "], ["--reason"]),
    (
        ["golden", "accept", "--reason", "r", "--proposed", "absent.json"],
        ["absent.json", "cannot be read"],
    ),
    (
        ["golden", "accept", "--reason", "r", "--proposed", "mlffd.toml"],
        ["mlffd.toml", "not proposals"],
    ),
    (["data", "convert", "data.h5", "data.cif"], ["data.cif", "expected one of .h5"]),
    (["data", "convert", "absent.xyz", "new.h5"], ["absent.xyz", "No such file"]),
    (["data", "convert", "data.h5", "absent/new.xyz"], ["absent/new.xyz", "cannot write"]),
]


@pytest.mark.parametrize(
    ("arguments", "fragments"), BAD_ARGUMENTS, ids=[" ".join(a) for a, _ in BAD_ARGUMENTS]
)
def test_bad_arguments_are_refused_before_anything_is_computed(
    project, mlffd, monkeypatch, arguments, fragments
):
    monkeypatch.setattr("mlffd.checks.run.run_cases", lambda *_, **__: pytest.fail("computes"))
    before = project.files()
    assert_refused(mlffd(*arguments), *fragments)
    assert project.files() == before


@pytest.mark.parametrize("arguments", [["chekc"], ["check", "--fast"], ["golden", "accept"]])
def test_bad_usage_is_told_without_a_traceback(project, mlffd, arguments):
    result = mlffd(*arguments)
    assert result.code == 2
    assert "Usage: mlffd" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        ("[students.small\n", ["not valid TOML", "line 1"]),
        (
            "[students.small]\nchekpoint = 'small.pt'\n",
            ["students.small.chekpoint: unknown key", "students.small.checkpoint: missing"],
        ),
        ("", ["nothing to check"]),
        (
            "[students.small]\ncheckpoint = 'small.pt'\n[students.small.limits.beauty]\na = 1\n",
            ["small.limits", "no such check", "beauty"],
        ),
    ],
    ids=["no TOML", "unknown key", "empty", "unknown check"],
)
def test_bad_settings_are_refused(project, mlffd, content, fragments):
    project.settings.write_text(content, encoding="utf-8")
    assert_refused(mlffd("check"), *fragments)


def test_check_without_settings_says_what_it_needs(project, mlffd):
    project.settings.unlink()
    assert_refused(mlffd("check"), "no mlffd.toml", "name a checkpoint", "--config")


def test_control_characters_of_a_file_do_not_reach_the_terminal(project, mlffd):
    with Dataset(project.dataset) as dataset:
        structures = list(dataset)
    write_dataset(project.dataset, structures, metadata={"method": "\x1b[2Jclean"})
    result = mlffd("data", "info", project.dataset)
    assert "\x1b" not in result.out
    assert r"\x1b[2Jclean" in result.out


def test_a_crash_is_no_verdict(project, mlffd, monkeypatch):
    """Python's own exit code for a crash, 1, would say that the student got worse."""

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("a bug of mlffd")

    monkeypatch.setattr("mlffd.checks.run.run_cases", crash)
    result = mlffd("check", "small", "--only", "loads")
    assert result.code == 3
    assert "RuntimeError: a bug of mlffd" in result.err


# --- check


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_json_is_strict_and_has_the_documented_keys(project, mlffd):
    arguments = ["--only", "loading", "--only", "net_force_and_torque", "--only", "dataset_valid"]
    result = mlffd("check", *arguments, "--json", "run.json")
    assert result.code == 0, result.out
    text = (project.folder / "run.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=refuse_constant)
    assert set(document) == {
        "verdict",
        "exit_code",
        "environment",
        "evidence",
        "omitted",
        "not_run",
        "standings",
    }
    assert (document["verdict"], document["exit_code"]) == ("pass", 0)
    assert [(e["subject"], e["check"]) for e in document["evidence"]] == [
        ("small", "loads"),
        ("small", "finite_weights"),
        ("small", "parameter_count"),
        ("small", "net_force_and_torque"),
        ("data", "dataset_valid"),
    ]
    for evidence in document["evidence"]:
        assert set(evidence) == {
            "subject",
            "check",
            "verdict",
            "measured",
            "limit",
            "unit",
            "message",
            "details",
        }
        assert evidence["measured"] <= evidence["limit"]
    assert document["environment"]["device"] == "cpu"
    assert document["environment"]["settings"] == str(project.settings)
    assert document["environment"]["versions"]["torch"] == torch.__version__


def test_what_was_not_asked_is_named(project, mlffd):
    """A check that does not concern a subject is no pass, and no silence."""
    result = mlffd("check", "small.pt", "--only", "golden", "--only", "loads", "--json", "r.json")
    omitted = json.loads((project.folder / "r.json").read_text())["omitted"]
    assert {(o["subject"], o["check"]) for o in omitted} == {
        ("small", "matches_golden"),
        ("small", "accuracy"),
        ("small", "unseen_molecules"),
    }
    assert all("the settings name no" in o["reason"] for o in omitted)
    assert "not asked:" in result.out


def test_check_shows_each_case_and_what_is_wrong(project, mlffd):
    # The vectors of the last interaction have no effect on the energy, so there are two.
    student = small_student(revision=1, interactions=2)
    mixing = student.get_parameter("interactions.0.update.mixing_matrix")
    with torch.no_grad():
        mixing.copy_(torch.arange(9.0).reshape(3, 3))
    save_student(project.folder / "skewed.pt", student)
    only = ["--only", "rotation_equivariance", "--only", "permutation_invariance"]
    result = mlffd("check", "skewed.pt", *only)
    lines = result.out.splitlines()
    assert result.code == 1
    assert any(line.split()[:3] == ["skewed", "rotation_equivariance", "fail"] for line in lines)
    assert any(line.split()[:3] == ["skewed", "permutation_invariance", "pass"] for line in lines)
    assert "turning changes" in result.out
    assert lines[-1] == "fail: 1 pass, 1 fail"


def test_elements_can_be_asked_about(project, mlffd):
    assert mlffd("check", "small", "--only", "element_coverage", "--elements", "H,C").code == 0
    result = mlffd("check", "small", "--only", "element_coverage", "--elements", "H,S")
    assert result.code == 1
    assert "S" in result.out


def test_settings_are_found_from_a_folder_below(project, mlffd, monkeypatch):
    below = project.folder / "deep" / "er"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    result = mlffd("check", "small", "--only", "loads")
    assert result.code == 0
    assert f"settings: {project.settings}" in result.out.splitlines()


def test_a_name_that_looks_like_markup_is_only_a_name(project, mlffd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal: progress is shown
    project.settings.write_text(
        project.settings.read_text().replace("[students.small]", "[students.'[/red]']")
    )
    assert mlffd("check", "[/red]", "--only", "loads").code == 0
    assert mlffd("golden", "diff", "[/red]").code == 0


def test_a_subject_that_no_check_concerned_is_named(project, mlffd):
    result = mlffd("check", "small", "data", "--only", "dataset_valid", "--json", "r.json")
    assert result.code == 0
    omitted = {
        "subject": "small",
        "check": "all",
        "reason": "no check of dataset_valid concerns it",
    }
    assert json.loads((project.folder / "r.json").read_text())["omitted"] == [omitted]
    assert "small: all: no check of dataset_valid concerns it" in result.out


def test_a_tolerated_defect_is_told(project, mlffd):
    with project.settings.open("a") as file:
        file.write(
            "[students.other]\ncheckpoint = 'small.pt'\nparameters = 5\n"
            "[students.other.known_defects.parameter_count]\nreason = 'to be seen'\nlimit = 1500\n"
        )
    result = mlffd("check", "other", "--only", "parameter_count")
    assert result.code == 0, result.out
    assert "known defect (to be seen), within its bound" in result.out


# --- inspect


def test_inspect_shows_what_a_checkpoint_holds(project, mlffd):
    checkpoint = read_checkpoint(project.checkpoint)
    result = mlffd("inspect", project.checkpoint)
    assert (result.code, result.err) == (0, "")
    rows = [" ".join(line.split()) for line in result.out.splitlines()]
    for row in (
        f"layout {checkpoint.layout}",
        "architecture StudentForceField",
        "revision 2",
        f"parameters {checkpoint.parameter_count:,}",
        f"fingerprint {checkpoint.fingerprint}",
        "trained elements H C N O (stated)",
        "config hidden_dim 8",
        "config num_interactions 1",
        "config num_rbf 4",
        "config cutoff 5.0",
    ):
        assert row in rows


# --- data


def test_data_info_shows_what_a_data_set_holds(project, mlffd):
    with Dataset(project.dataset) as dataset:
        fingerprint, atoms = dataset.fingerprint, int(dataset.atom_counts.sum())
    result = mlffd("data", "info", project.dataset)
    assert (result.code, result.err) == (0, "")
    for fragment in (fingerprint, f"{atoms:,}", "energy and forces 24", "random numbers"):
        assert fragment in result.out


def test_data_validate_lists_every_violation(project, mlffd):
    assert mlffd("data", "validate", project.dataset).out == "0 violations\n"
    with Dataset(project.dataset) as dataset:
        structures = list(dataset)
    for index in (3, 7):
        structures[index].forces[0, 0] = np.nan
    write_dataset(project.dataset, structures, metadata={})
    result = mlffd("data", "validate", project.dataset)
    assert result.code == 1
    assert "structure 3: labels/forces: " in result.out
    assert "structure 7: labels/forces: " in result.out


def test_data_convert_keeps_structures_and_labels(project, mlffd):
    assert mlffd("data", "convert", "data.h5", "data.xyz").code == 0
    result = mlffd("data", "convert", "data.xyz", "again.h5")
    assert result.out == "24 structures written to again.h5\n"
    with Dataset("data.h5") as before, Dataset("again.h5") as after:
        for old, new in zip(before, after, strict=True):
            assert old.name == new.name
            np.testing.assert_array_equal(old.numbers, new.numbers)
            np.testing.assert_allclose(old.positions, new.positions, rtol=0, atol=1e-8)
            np.testing.assert_allclose(old.forces, new.forces, rtol=0, atol=1e-8)


# --- golden


def accept(mlffd: Run, *arguments: object, reason: str = "for a test") -> Result:
    return mlffd("golden", "accept", *arguments, "--reason", reason)


def test_a_first_golden_is_shown_written_and_then_holds(project, mlffd):
    shown = mlffd("golden", "diff")
    assert shown.code == 0
    assert "no golden yet" in shown.out
    assert not project.record.exists()
    assert accept(mlffd, reason="the first one").code == 0
    record = json.loads(project.record.read_text(encoding="utf-8"))
    assert (project.record.parent / record["predictions_file"]).is_file()
    provenance = record["environments"]["cpu"]["provenance"]
    assert provenance["reason"] == "the first one"
    assert provenance["versions"]["torch"] == torch.__version__
    assert mlffd("check", "--only", "golden", "--only", "dataset_coverage").code == 0
    assert mlffd("golden", "diff").out.splitlines() == [
        f"settings: {project.settings}",
        "small: nothing to accept",
        "data: nothing to accept",
    ]


def test_new_weights_are_not_judged_by_an_old_golden_until_they_are_accepted(project, mlffd):
    accept(mlffd)
    before = read_checkpoint(project.checkpoint).fingerprint
    shift_energies(project, 1e-3)
    result = mlffd("check", "--only", "matches_golden")
    assert result.code == 3
    assert "the weights have changed" in result.out
    after = read_checkpoint(project.checkpoint).fingerprint
    assert f"weights: {before[:19]} -> {after[:19]}" in mlffd("golden", "diff").out
    assert accept(mlffd).code == 0
    assert mlffd("check", "--only", "golden").code == 0


def test_worse_weights_are_a_regression_and_the_diff_shows_by_how_much(project, mlffd):
    accept(mlffd)
    old = json.loads(project.record.read_text())["environments"]["cpu"]["metrics"]
    shift_energies(project, 3.0)
    result = mlffd("check", "--only", "accuracy")
    assert result.code == 1
    assert "regressed" in result.out
    shown = mlffd("golden", "diff").out
    assert f"energy_mae_per_atom: {old['energy_mae_per_atom']['value']:.4g} -> " in shown
    assert "(regressed, change +" in shown
    worst = shown[shown.index("structures that change most (of 24)") :].splitlines()[1:]
    assert len([line for line in worst if "energy by" in line]) == 10
    assert accept(mlffd, "small").code == 0
    assert mlffd("check", "--only", "golden").code == 0
    provenance = json.loads(project.record.read_text())["environments"]["cpu"]["provenance"]
    assert provenance["previous"] == {name: metric["value"] for name, metric in old.items()}
    assert len(list(project.record.parent.glob("*.npz"))) == 1


def test_counters_are_reviewed_and_accepted_as_goldens_are(project, mlffd):
    record = project.folder / "golden" / "costs.json"
    text = "[students.small]\ncheckpoint = 'small.pt'\ncounters = 'golden/costs.json'\n"
    project.settings.write_text(text)
    missing = mlffd("check", "--only", "speed")
    assert missing.code == 3
    assert "mlffd golden accept" in missing.out
    assert accept(mlffd, reason="the first ones").code == 0
    document = json.loads(record.read_text(encoding="utf-8"))
    assert document["provenance"]["reason"] == "the first ones"
    assert mlffd("check", "--only", "speed").code == 0
    document["counters"]["batch1"]["kernels"] += 1
    record.write_text(json.dumps(document))
    shown = mlffd("golden", "diff").out.splitlines()
    found = document["counters"]["batch1"]["kernels"]
    assert shown[1:] == ["small (counters):", f"  batch1: kernels: {found} -> {found - 1} (-1)"]
    assert mlffd("check", "--only", "speed").code == 1
    record.write_text(json.dumps({**document, "torch": "2.3.1"}))
    incomparable = mlffd("check", "--only", "speed")
    assert incomparable.code == 3
    assert "of torch 2.3.1" in incomparable.out


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_golden_names_the_commit_of_the_repository_that_keeps_it(project, mlffd, monkeypatch):
    git(project.folder, "init", "-q")
    git(project.folder, "add", ".")
    git(project.folder, "commit", "-qm", "a student")
    commit = git(project.folder, "rev-parse", "HEAD")
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "-q")
    monkeypatch.chdir(elsewhere)
    assert accept(mlffd, "--config", project.settings).code == 0
    provenance = json.loads(project.record.read_text())["environments"]["cpu"]["provenance"]
    assert provenance["commit"] == commit
    mlffd("check", "--config", project.settings, "--only", "loads", "--json", "run.json")
    environment = json.loads((elsewhere / "run.json").read_text())["environment"]
    assert environment["commit"] == commit


@pytest.mark.parametrize("command", [["diff"], ["accept", "--reason", "r"]])
@pytest.mark.parametrize(
    ("subject", "fragments"), [("small", ["forces_mae", "small"]), ("data", ["forces_rms"])]
)
def test_labels_that_are_not_finite_make_no_golden(project, mlffd, command, subject, fragments):
    with Dataset(project.dataset) as dataset:
        structures = list(dataset)
    structures[3].forces[0, 0] = np.nan
    write_dataset(project.dataset, structures, metadata={})
    before = project.files()
    result = mlffd("golden", *command, subject)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert all(fragment in line for fragment in ("data.h5", *fragments, "mlffd data validate"))
    assert project.files() == before


def test_predictions_that_are_not_finite_are_not_accepted(project, mlffd):
    student = small_student()
    student.get_buffer("reference_energies").fill_(1e308)  # finite, but the sum of two is not
    save_student(project.checkpoint, student)
    before = project.files()
    result = accept(mlffd)
    assert result.code == 2
    assert "small: predictions are not finite" in result.err
    assert project.files() == before


@pytest.fixture
def proposals(project) -> Path:
    """What ``pytest --mlffd-propose`` would have written."""
    from mlffd.checks.cases import configured_subjects
    from mlffd.checks.proposing import propose
    from mlffd.config import load_settings
    from mlffd.golden.proposals import write_proposals

    subjects = configured_subjects(load_settings(project.settings))
    rows = [propose(subject).as_dict() for subject in subjects]
    path = project.folder / "proposed.json"
    write_proposals(path, rows, expected=["data", "small"])
    return path


def edit(path: Path, change: Callable[[dict], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_proposals_are_accepted_as_they_were_made(project, mlffd, proposals):
    assert accept(mlffd, "--proposed", proposals).code == 0
    assert mlffd("check", "--only", "golden", "--only", "dataset_coverage").code == 0


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (lambda d: d["proposals"].pop(0), ["proposed.json", "incomplete run", "small"]),
        (
            lambda d: (d["proposals"].pop(0), d["expected"].remove("small")),
            ["proposed.json", "nothing for small"],
        ),
        (
            lambda d: d["proposals"][0]["predictions"]["energy"].__setitem__(3, float("nan")),
            ["not finite"],
        ),
        (lambda d: d["proposals"][0]["predictions"].pop("energy"), ["proposed.json", "energy"]),
        (lambda d: d.update(format="something else"), ["proposed.json", "not proposals"]),
    ],
    ids=["incomplete", "unknown subject", "NaN", "no energies", "other JSON"],
)
def test_bad_proposals_are_refused(project, mlffd, proposals, change, fragments):
    edit(proposals, change)
    before = project.files()
    result = accept(mlffd, "--proposed", proposals)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert all(fragment in line for fragment in fragments)
    assert project.files() == before


@pytest.mark.parametrize("changed", ["weights", "data"])
def test_proposals_made_from_other_files_are_refused(project, mlffd, proposals, changed):
    if changed == "weights":
        shift_energies(project, 1.0)
    else:
        with Dataset(project.dataset) as dataset:
            structures = list(dataset)
        write_dataset(project.dataset, structures[:-1], metadata={})
    before = project.files()
    result = accept(mlffd, "--proposed", proposals)
    assert result.code == 2
    assert f"proposed for {changed}" in result.err
    assert project.files() == before
