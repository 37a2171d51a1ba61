"""The ``mlffd`` command in tests: how it ended, and what it answers to bad input."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


def start(*arguments: object) -> Result:
    """The command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "mlffd", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def assert_refused(result: Result, *fragments: str) -> None:
    """One line on standard error, that says what was wrong where; nothing else."""
    assert result.code == 2, result
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("mlffd: error: ")
    for fragment in fragments:
        assert fragment in line
