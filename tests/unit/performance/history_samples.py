"""Small histories: commits without files, and what was measured of them."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mlffd.performance.ratios import CommitRatios, History, Point, Quantity, Series, write_ratios

REFERENCE, OTHER_REFERENCE = "a" * 40, "b" * 40

_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "someone"), ("EMAIL", "someone@example.org"))
}


def git(folder: Path, *arguments: str) -> str:
    # Without the settings of whoever runs the tests.
    environment = {**os.environ, **_IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def make_history(folder: Path, count: int) -> list[str]:
    """A repository with some empty commits; their names, the oldest first."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    return [commit(folder, f"change {number}") for number in range(count)]


def commit(folder: Path, message: str) -> str:
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def measured(commit: str, **changes) -> CommitRatios:
    """What was measured of a commit."""
    ratio = {"ratio": 1.25, "low": 1.2, "high": 1.3, "launches": 4}
    return CommitRatios.model_validate(
        {
            "commit": commit,
            "date": "2026-05-04T03:02:01+02:00",
            "subject": "a change",
            "reference": REFERENCE,
            "machine": {"processor": "a fast one"},
            "benchmarks": {"small": ratio},
            "counters": {"small": {"operators": 12}},
            "accuracy": {"tiny": {"force_rmse": 0.1, "energy_rmse": 0.002}},
            **changes,
        }
    )


def store(folder: Path, commits: Sequence[str], machine: str = "desk", **changes) -> None:
    for name in commits:
        write_ratios(folder, machine, measured(name, **changes))


def names(count: int) -> list[str]:
    """Of commits that nobody made."""
    return [f"{number:012x}{0:028x}" for number in range(1, count + 1)]


def series(
    values: Sequence[float],
    *,
    quantity: Quantity = Quantity.TIME,
    name: str = "small",
    machine: str = "desk",
    reference: str = REFERENCE,
    positions: Sequence[int] | None = None,
) -> Series:
    commits = names(1000)
    points = tuple(
        Point(commits[position], position, "2026-05-04T03:02:01Z", "a change", value)
        for position, value in zip(positions or range(len(values)), values, strict=True)
    )
    ratio = quantity is Quantity.TIME
    return Series(machine, quantity, name, reference if ratio else None, points)


def history(*all_series: Series, behind: int = 0) -> History:
    """Some series; so many commits came after the last that was measured."""
    newest = max((series.newest for series in all_series), default=0)
    return History(tuple(names(newest + 1 + behind)), all_series, 0)
