"""Which commit made a benchmark slower: the paired comparison, driven by `git bisect run`."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlffd.errors import (
    BuildError,
    InputError,
    MissingDeviceError,
    MlffdError,
    NothingMeasuredError,
)
from mlffd.performance.bisect_step import Plan, Trial
from mlffd.performance.revisions import resolve
from mlffd.verdicts import EXIT_CODES, Verdict

#: How a comparison is started; `Plan.try_commit` adds the revisions and the benchmark.
COMPARE = (sys.executable, "-m", "mlffd", "perf", "ab", "--no-accuracy")

_PASS, _FAIL, _UNCLEAR = (
    EXIT_CODES[verdict] for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)
)

#: What ends a comparison for every commit alike, or a bisection before it begins.
_ERRORS: dict[int, type[MlffdError]] = {
    kind.exit_code: kind
    for kind in (InputError, BuildError, NothingMeasuredError, MissingDeviceError)
}

#: What `git bisect log` says in the end: of the one, or of each of those that are left.
_GUILTY = re.compile(r"^# (?:possible )?first bad commit: \[([0-9a-f]+)\]", re.MULTILINE)


@dataclass(frozen=True)
class Bisection:
    """What came of a bisection.

    Attributes:
        benchmark: its name.
        good: full name of the commit that all others were held against.
        bad: the trial of the bad commit.
        suspects: full names of the commits that may have done it: one if it was found, none if
            the bad commit is not slower.
        subjects: first lines of the suspects' messages.
        trials: of every commit that was tried, the bad one included, the oldest first.
    """

    benchmark: str
    good: str
    bad: Trial
    suspects: tuple[str, ...]
    subjects: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def guilty(self) -> Trial | None:
        """The commit that did it, against the good one; None: it is not known."""
        if len(self.suspects) != 1:
            return None
        return next(trial for trial in self.trials if trial.commit == self.suspects[0])

    @property
    def exit_code(self) -> int:
        """0: nothing is slower; 1: it was found; 3: it is one of several, or unclear."""
        if self.bad.exit_code == _PASS:
            return _PASS
        return _FAIL if self.guilty else _UNCLEAR

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "exit_code": self.exit_code,
            "benchmark": self.benchmark,
            "good": self.good,
            "bad": self.bad.commit,
            "suspects": [
                {"commit": commit, "subject": subject}
                for commit, subject in zip(self.suspects, self.subjects, strict=True)
            ],
            "trials": [
                {
                    "commit": trial.commit,
                    "exit_code": trial.exit_code,
                    "ratio": trial.ratio,
                    "interval": trial.interval and list(trial.interval),
                    "message": trial.message,
                }
                for trial in self.trials
            ],
        }


def bisect(
    repository: Path,
    good: str,
    bad: str,
    benchmark: str,
    *,
    compare: Sequence[str] = COMPARE,
) -> Bisection:
    """Find the commit between two that made a benchmark slower.

    First parents only: what was merged is judged as a whole, at the merge. A branch that forked
    from an older commit lacks what was made faster since, and would look guilty. Everything happens
    in a clone, without a checkout; the repository and its working tree stay as they are.

    Args:
        repository: a folder in it.
        good: a commit that is not slow.
        bad: a later one that is.
        benchmark: its name.
        compare: starts the comparison, see `Plan`.

    Raises:
        BuildError: the good or the bad commit cannot be built.
        InputError: good is not one of the first parents of bad, or the comparison does not accept
            its options.
        MissingDeviceError: the benchmark's device is not there.
        NothingMeasuredError: there is no such benchmark.
    """
    base, head = resolve(repository, good), resolve(repository, bad)
    top = Path(_git(repository, "rev-parse", "--show-toplevel").strip())
    between = _git(repository, "rev-list", "--first-parent", "--reverse", head).split()
    if base == head or base not in between:
        raise InputError(f"--good: {good}: expected a commit that {bad} was built on")
    with tempfile.TemporaryDirectory(prefix="mlffd-bisect-") as name:
        folder = Path(name)
        results = folder / "results"
        results.mkdir()
        plan = Plan(tuple(compare), str(top), base, benchmark, str(results))
        trial = plan.try_commit(head)
        if trial.exit_code == _FAIL:
            suspects = _suspects(plan, top, folder, head)
        elif trial.exit_code in (_PASS, _UNCLEAR):
            suspects = []
        else:
            raise _error(trial)
        trials = sorted(plan.trials(), key=lambda t: between.index(t.commit))
    subjects = [_git(top, "show", "-s", "--format=%s", c).strip() for c in suspects]
    return Bisection(benchmark, base, trial, tuple(suspects), tuple(subjects), tuple(trials))


def _suspects(plan: Plan, repository: Path, folder: Path, bad: str) -> list[str]:
    """Run the bisection in a clone; full names of the commits that may have done it."""
    plan.write(folder / "plan.json")
    clone = folder / "clone"
    _git(repository, "clone", "--quiet", "--shared", "--no-checkout", str(repository), str(clone))
    _git(clone, "bisect", "start", "--no-checkout", "--first-parent", bad, plan.good)
    found = _GUILTY.findall(_git(clone, "bisect", "log"))
    if found:  # the two are neighbours
        return found
    step = [sys.executable, "-m", "mlffd.performance.bisect_step", str(folder / "plan.json")]
    done = subprocess.run(
        ["git", "bisect", "run", *step], cwd=clone, capture_output=True, text=True, check=False
    )
    trials = {trial.commit: trial for trial in plan.trials()}
    if ended := next((trial for trial in trials.values() if trial.ends_it), None):
        raise _error(ended)
    found = _GUILTY.findall(_git(clone, "bisect", "log"))
    # Git takes any failure to judge for a verdict: whom it names must have been seen to be slow.
    if not found or (len(found) == 1 and getattr(trials.get(found[0]), "exit_code", 0) != _FAIL):
        raise MlffdError(f"git bisect run: {(done.stderr or done.stdout).strip()}")
    return found


def _error(trial: Trial) -> MlffdError:
    kind = _ERRORS.get(trial.exit_code, MlffdError)
    return kind(f"{trial.commit[:12]}: {trial.message}")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        )
    except subprocess.CalledProcessError as error:
        raise InputError(f"{folder}: git {arguments[0]}: {error.stderr.strip()}") from error
    return done.stdout
