"""Results come to a branch of their own, from whoever measures, and nothing else does."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pushed_project import git, make_remote, published

pytest.importorskip("yaml", reason="PyYAML comes with asv, in the extra perf")
from workflow_steps import ROOT, run

#: Somebody else who pushes while we do, once.
RIVAL = """#!/usr/bin/env bash
rm "$0"
unset GIT_INDEX_FILE
bash .ci/publish-results {theirs} {remote}
"""


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path / "remote.git")


@pytest.fixture
def clone(remote: Path, tmp_path: Path) -> Path:
    """A repository that has the scripts, with an unfinished change in it."""
    folder = tmp_path / "work"
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Start")
    git(folder, "remote", "add", "origin", str(remote))
    git(folder, "push", "--quiet", "--set-upstream", "origin", "main")
    (folder / "unfinished").write_text("work")
    git(folder, "add", "unfinished")
    return folder


def results(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def publish(clone: Path, measured: Path):
    return run(f"bash .ci/publish-results {measured}", clone)


def test_results_come_to_a_branch_without_a_common_history(clone, remote, tmp_path):
    before = git(clone, "status", "--porcelain")
    first = results(tmp_path / "one", {"ratios/cpu/aaa.json": "{}", "results/benchmarks.json": "1"})
    second = results(tmp_path / "two", {"results/gpu/bbb-py3.13.json": "NaN"})

    for measured in (first, second):
        done = publish(clone, measured)
        assert done.returncode == 0, done

    assert set(published(remote)) == {
        "asv_benchmarks/ratios/cpu/aaa.json",
        "asv_benchmarks/results/benchmarks.json",
        "asv_benchmarks/results/gpu/bbb-py3.13.json",
    }
    assert git(remote, "rev-list", "--count", "benchmark-results") == "2"
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        git(remote, "merge-base", "main", "benchmark-results")
    assert git(clone, "status", "--porcelain") == before


def test_what_is_measured_again_replaces_what_was_published(clone, remote, tmp_path):
    measured = results(tmp_path / "measured", {"ratios/cpu/aaa.json": "1"})
    publish(clone, measured)
    results(measured, {"ratios/cpu/aaa.json": "2"})
    publish(clone, measured)
    again = publish(clone, measured)
    assert "published already" in again.stdout
    assert published(remote) == {"asv_benchmarks/ratios/cpu/aaa.json": 2}
    assert git(remote, "rev-list", "--count", "benchmark-results") == "2"


@pytest.mark.parametrize("there_before", [True, False])
def test_of_two_that_push_at_once_none_is_lost(clone, remote, tmp_path, there_before):
    if there_before:
        publish(clone, results(tmp_path / "earlier", {"ratios/cpu/aaa.json": "0"}))
    theirs = results(tmp_path / "theirs", {"ratios/gpu/aaa.json": "1"})
    hook = clone / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(RIVAL.format(theirs=theirs, remote=remote))
    hook.chmod(0o755)

    done = publish(clone, results(tmp_path / "ours", {"ratios/cpu/bbb.json": "2"}))

    assert done.returncode == 0, done
    assert not hook.exists()
    found = {name.removeprefix("asv_benchmarks/ratios/") for name in published(remote)}
    assert found == {"gpu/aaa.json", "cpu/bbb.json"} | ({"cpu/aaa.json"} if there_before else set())


def test_a_push_that_is_refused_is_an_error_at_once(clone, remote, tmp_path):
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    done = publish(clone, results(tmp_path / "measured", {"ratios/cpu/aaa.json": "1"}))
    assert done.returncode == 1
    assert "remote: no" in done.stderr


def test_nothing_but_results_is_taken(clone, remote, tmp_path):
    measured = results(
        tmp_path / "measured",
        {
            "ratios/cpu/aaa.json": "{}",
            "ratios/cpu/.hidden.json": "{}",
            "ratios/cpu/deep/aaa.json": "{}",
            "ratios/cpu/run.sh": "echo",
            "ratios/-x/aaa.json": "{}",
            "ratios/cpu/$(touch owned).json": "{}",
            "other/cpu/aaa.json": "{}",
            "secret.json": "{}",
        },
    )
    (measured / "ratios" / "cpu" / "link.json").symlink_to(measured / "secret.json")
    assert publish(clone, measured).returncode == 0
    assert set(published(remote)) == {"asv_benchmarks/ratios/cpu/aaa.json"}


def test_a_result_that_is_not_json_is_refused_and_named(clone, remote, tmp_path):
    files = {"ratios/cpu/aaa.json": "{}", "ratios/cpu/bbb.json": "<html>"}
    done = publish(clone, results(tmp_path / "measured", files))
    assert done.returncode == 2
    assert "bbb.json: not JSON" in done.stderr
    assert git(remote, "branch", "--list", "benchmark-results") == ""


def test_nothing_to_publish_is_no_success(clone, tmp_path):
    (tmp_path / "measured").mkdir()
    assert publish(clone, tmp_path / "measured").returncode == 5
    results(tmp_path / "measured", {"results/benchmarks.json": "{}"})  # what asv knows, no result
    assert publish(clone, tmp_path / "measured").returncode == 5


def test_what_was_published_comes_over_what_is_there(clone, tmp_path):
    assert run("bash .ci/fetch-results", clone).returncode == 5
    publish(clone, results(tmp_path / "measured", {"ratios/cpu/aaa.json": "2"}))
    results(clone / "asv_benchmarks", {"ratios/cpu/aaa.json": "1", "ratios/cpu/old.json": "0"})
    assert run("bash .ci/fetch-results", clone).returncode == 0
    folder = clone / "asv_benchmarks" / "ratios" / "cpu"
    assert {p.name: p.read_text() for p in folder.iterdir()} == {"aaa.json": "2", "old.json": "0"}


def base(clone: Path, **variables: str) -> str:
    return run(".ci/base-commit", clone, **variables).stdout.strip()


@pytest.fixture
def history(clone: Path) -> list[str]:
    """Five commits of main, the oldest first; all are pushed."""
    for number in range(4):
        git(clone, "commit", "--quiet", "--allow-empty", "-m", f"change {number}")
    git(clone, "push", "--quiet", "origin", "main")
    return git(clone, "rev-list", "--reverse", "HEAD").split()


def test_a_push_is_held_against_what_the_branch_was_before(clone, history):
    assert base(clone, BEFORE=history[1]) == history[1]


@pytest.mark.parametrize("before", ["", "0" * 40, "1" * 40])
def test_without_that_it_is_held_against_the_commit_before(clone, history, before):
    assert base(clone, BEFORE=before) == history[-2]


def test_a_branch_is_held_against_where_it_left_the_one_it_goes_to(clone, history):
    git(clone, "push", "--quiet", "origin", f"{history[3]}:refs/heads/release")
    git(clone, "checkout", "--quiet", "-b", "work", history[2])
    for number in range(2):
        git(clone, "commit", "--quiet", "--allow-empty", "-m", f"work {number}")
    assert base(clone) == history[2]
    git(clone, "merge", "--quiet", "-m", "as it would be merged", "origin/main")
    assert base(clone) == history[-1]
    assert base(clone, GITHUB_BASE_REF="release") == history[3]
