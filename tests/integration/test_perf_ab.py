"""`mlffd perf ab` in a repository of its own: what ends it how. No test relies on a clock.

Its rules let no slowdown fail that is less than sixfold; `test_perf_sequence` has real ones.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from mlffd_command import Run, assert_refused

from mlffd.checkpoints import load_checkpoint, save_checkpoint

ROOT = Path(__file__).parents[2]
WORKLOAD = "ultra_tiny/eager/fp32/cpu/batch1"
SETTINGS = """\
[students.ultra_tiny]
checkpoint = "ultra_tiny.pt"
dataset = "golden"

[datasets.golden]
path = "golden.h5"

[performance]
launches = 3

[performance.tiers.all]
workloads = ["{workload}"]
slowdown = 5.0
certain = 4.0
visible = 9.9
"""


class Repository:
    """Commits of a project without code: the mlffd that measures is the one that is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        shutil.copy(ROOT / "golden/checkpoints/ultra_tiny.pt", folder)
        shutil.copy(ROOT / "golden/datasets/golden.h5", folder)
        self.settings(WORKLOAD)
        self.commit("start")

    def settings(self, workload: str) -> None:
        (self.folder / "mlffd.toml").write_text(SETTINGS.format(workload=workload))

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, subject: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    found = Repository(tmp_path / "repository")
    monkeypatch.chdir(found.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return found


def test_a_head_that_is_no_slower_but_less_accurate_fails(
    repository: Repository, mlffd: Run, tmp_path: Path
) -> None:
    checkpoint = repository.folder / "ultra_tiny.pt"
    student = load_checkpoint(checkpoint)
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in student.parameters():
            weights.add_(0.01 * weights.std(correction=0) * torch.randn_like(weights))
    save_checkpoint(checkpoint, student, elements=[1, 6, 7, 8], training={})
    head = repository.commit("better, surely")
    report, page = tmp_path / "ab.json", tmp_path / "ab.md"

    result = mlffd("perf", "ab", "--base", "HEAD~1", "--json", report, "--markdown", page)

    assert result.code == 1, result
    document = json.loads(report.read_text())
    assert (document["verdict"], document["head"]) == ("fail", head)
    (speed,) = document["findings"]
    assert speed["verdict"] == "pass"
    assert 0.2 < speed["head"]["ratio"] < 5
    assert speed["head"]["launches"] >= 3
    (accuracy,) = document["accuracy"]
    assert accuracy["verdict"] == "fail"
    assert "forces_rmse" in accuracy["message"]
    assert WORKLOAD in page.read_text()
    assert not repository.git("status", "--porcelain")
    assert repository.git("worktree", "list").count("\n") == 0


def test_a_commit_that_cannot_be_built_is_no_regression(repository: Repository, mlffd: Run) -> None:
    (repository.folder / "pyproject.toml").write_text("[project]\nname = \n")
    repository.commit("oops")

    result = mlffd("perf", "ab", "--base", "HEAD~1")

    assert result.code == 4, result
    assert "cannot be built" in result.err


def test_a_student_that_the_base_does_not_have_leaves_nothing_to_compare(
    repository: Repository, mlffd: Run
) -> None:
    repository.settings(WORKLOAD)
    text = (repository.folder / "mlffd.toml").read_text()
    (repository.folder / "mlffd.toml").write_text(text.replace("ultra_tiny", "newcomer"))
    shutil.copy(repository.folder / "ultra_tiny.pt", repository.folder / "newcomer.pt")
    repository.commit("a new student")

    result = mlffd("perf", "ab", "--base", "HEAD~1")

    assert result.code == 5, result
    assert "newcomer" in result.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_the_gpu_that_was_asked_for_nothing_is_green(
    repository: Repository, mlffd: Run
) -> None:
    repository.settings("ultra_tiny/eager/fp32/cuda/batch1")
    repository.commit("on a GPU")

    result = mlffd("perf", "ab", "--base", "HEAD~1")

    assert result.code == 6, result
    assert "cuda" in result.err


def test_exported_files_of_both_are_compared(repository: Repository, mlffd: Run) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    workload = "ultra_tiny/torchscript/fp32/cpu/batch1"
    repository.settings(workload)
    repository.commit("as TorchScript")
    folder = repository.folder.parent / "exports"
    folder.mkdir()
    exported = mlffd("export", "ultra_tiny", "--format", "torchscript", "-o", folder)
    assert exported.code == 0, exported
    both = ("--base-exports", "../exports", "--head-exports", "../exports")

    result = mlffd("perf", "ab", "--base", "HEAD~1", "--no-accuracy", *both)

    assert result.code == 0, result
    assert workload in result.out
    without = mlffd("perf", "ab", "--base", "HEAD~1", "--no-accuracy")
    assert without.code == 3
    assert "is not in a folder of exports" in without.out


def test_a_head_that_no_longer_runs_is_invalid_not_slow(repository: Repository, mlffd: Run) -> None:
    (repository.folder / "ultra_tiny.pt").write_bytes(b"no checkpoint")
    repository.commit("broken")

    result = mlffd("perf", "ab", "--base", "HEAD~1", "--no-accuracy")

    assert result.code == 3, result
    assert "the head cannot run it" in result.out


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--base", "nowhere"], ["'nowhere' is no commit"]),
        (["--base=--help"], ["'--help' is no commit"]),
        (["--base", "HEAD", "--only", "fast"], ["'fast' is no tier or workload", "all"]),
        (["--base", "HEAD", "--head-exports", "nowhere"], ["--head-exports: nowhere: no folder"]),
    ],
)
def test_bad_input_is_refused(
    repository: Repository, mlffd: Run, arguments: list[str], fragments: list[str]
) -> None:
    assert_refused(mlffd("perf", "ab", *arguments), *fragments)


def test_settings_without_a_tier_measure_nothing(repository: Repository, mlffd: Run) -> None:
    (repository.folder / "mlffd.toml").write_text("[students]\n")
    repository.commit("no tier")

    assert_refused(mlffd("perf", "ab", "--base", "HEAD~1"), "performance.tiers")


def test_a_workload_that_nobody_could_run_is_named(repository: Repository, mlffd: Run) -> None:
    repository.settings("ultra_tiny/eager/fp32/cpu/batch7")
    repository.commit("a typing error")

    assert_refused(mlffd("perf", "ab", "--base", "HEAD~1"), "batch7", "batch8")
