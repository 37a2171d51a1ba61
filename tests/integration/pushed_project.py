"""A project with code of its own and a bare repository that it is pushed to."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch

from mlffd.checkpoints import load_checkpoint, save_checkpoint
from mlffd.performance.harness.workloads import Workload, prepare
from mlffd.students.student_force_field import StudentForceField

ROOT = Path(__file__).parents[2]
WORKLOAD = "ultra_tiny/eager/fp32/cpu/batch4"
SETTINGS = f"""\
[students.ultra_tiny]
checkpoint = "golden/checkpoints/ultra_tiny.pt"
dataset = "golden"

[datasets.golden]
path = "golden/datasets/golden.h5"

[performance]

[performance.tiers.gate]
workloads = ["{WORKLOAD}"]
"""
#: A project without code: the mlffd that is measured is then the one that measures.
_BARE = (
    *("asv.conf.json", ".ci", "asv_benchmarks/run.py", "asv_benchmarks/measured.py"),
    *("asv_benchmarks/benchmarks", "golden/checkpoints/ultra_tiny.pt", "golden/datasets/golden.h5"),
)
_CODE = ("pyproject.toml", "README.md", "LICENSE", "src")
_MODULE = "src/mlffd/students/student_force_field.py"
_CALLED_ONCE = "        scalars = self.embedding(numbers)\n"
_MORE_WORK = "self.embedding.weight.detach().sin()"
#: How often it is done to find out how long it takes.
_TRIED = 100
_ORIGINAL = StudentForceField.atomic_energies


def git(folder: Path, *arguments: str) -> str:
    """What git says; nothing that is configured for the user counts."""
    identity = {
        f"GIT_{who}_{what}": "someone@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def make_remote(folder: Path) -> Path:
    """A bare repository without a commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    return folder


class Project:
    """What somebody works on and pushes.

    Args:
        folder: yet to be made.
        remote: a bare repository.
        with_code: whether it has a copy of mlffd of its own.
    """

    def __init__(self, folder: Path, remote: Path, *, with_code: bool = True) -> None:
        self.folder, self.remote = folder, remote
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "remote", "add", "origin", str(remote))
        ignored = shutil.ignore_patterns("__pycache__")
        for name in _BARE + _CODE * with_code:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=ignored)
            else:
                shutil.copy(source, target)
        self.settings.write_text(SETTINGS)

    @property
    def settings(self) -> Path:
        return self.folder / "mlffd.toml"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "golden/checkpoints/ultra_tiny.pt"

    def push(self, subject: str) -> str:
        """Commit everything and push it; the commit."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "-m", subject)
        git(self.folder, "push", "--quiet", "origin", "main")
        return git(self.folder, "rev-parse", "HEAD")

    def pin_reference(self) -> None:
        """The commit that is checked out is what the history is relative to."""
        line = f'[performance]\nreference = "{git(self.folder, "rev-parse", "HEAD")}"\n'
        self.settings.write_text(self.settings.read_text().replace("[performance]\n", line))

    def explain_more(self, line: str) -> None:
        """A change that changes nothing."""
        with (self.folder / "README.md").open("a") as readme:
            readme.write(f"\n{line}\n")

    def slow_down(self, share: float) -> None:
        """Add work to the student's code that takes this share of a call, as measured here."""
        call = prepare(Workload.parse(WORKLOAD), self.folder).call
        count = round(share / (slowdown_of_trial(call) / _TRIED))
        path = self.folder / _MODULE
        before, found, after = path.read_text().partition(_CALLED_ONCE)
        assert found
        loop = f"        for _ in range({count}):\n"
        path.write_text(f"{before}{loop}            {_MORE_WORK}\n{found}{after}")

    def make_less_accurate(self) -> None:
        """Disturb every weight by a hundredth."""
        student = load_checkpoint(self.checkpoint)
        torch.manual_seed(0)
        with torch.no_grad():
            for weights in student.parameters():
                weights.add_(0.01 * weights.std(correction=0) * torch.randn_like(weights))
        save_checkpoint(self.checkpoint, student, elements=[1, 6, 7, 8], training={})


def with_more_work(student: StudentForceField, *arguments, **options) -> torch.Tensor:
    """In place of `StudentForceField.atomic_energies`."""
    for _ in range(_TRIED):
        student.embedding.weight.detach().sin()
    return _ORIGINAL(student, *arguments, **options)


def slowdown_of_trial(call: Callable[[], object]) -> float:
    """How much slower a call is by the work that is tried: in turns, so only that counts."""
    ratios = []
    for _ in range(100):
        without = least_seconds(call)
        with patch.object(StudentForceField, "atomic_energies", with_more_work):
            ratios.append(least_seconds(call) / without)
    return median(ratios) - 1


def least_seconds(call: Callable[[], object]) -> float:
    """Processor time of the least disturbed of a few calls."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return min(seconds)


def published(remote: Path) -> dict[str, object]:
    """What is on the branch of results, by path."""
    names = git(remote, "ls-tree", "-r", "--name-only", "benchmark-results").splitlines()
    return {name: json.loads(git(remote, "show", f"benchmark-results:{name}")) for name in names}
