"""Trying a fault: planted in every size, from the largest down, and what every check then says."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from mlffd.checks.cases import Case, plan
from mlffd.config import Settings
from mlffd.errors import InputError, MissingPackageError
from mlffd.faults.catalogue import THROUGHPUT, Fault, Planted
from mlffd.faults.healthy import Healthy
from mlffd.faults.slowing import Slowed
from mlffd.files import write_text_atomically
from mlffd.verdicts import Verdict

#: Take most of the time of all checks together: only for the faults that they are to catch.
_SLOW = frozenset({"nve_conservation", "counters"})


@dataclass(frozen=True)
class Trial:
    """A fault of one size.

    Attributes:
        size: of it.
        verdicts: by check; those that were run.
    """

    size: float
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True)
class Result:
    """What became of a fault.

    Attributes:
        fault: its name.
        trials: the largest first.
        seconds: that it took.
        impossible: why it could not be planted here; empty if it could.
    """

    fault: str
    trials: Sequence[Trial]
    seconds: float
    impossible: str = ""

    def limit(self, check: str) -> float | None:
        """The least size from which on the check fails; None: it does not fail at the largest."""
        found = None
        for trial in self.trials:
            if trial.verdicts.get(check) is not Verdict.FAIL:
                break
            found = trial.size
        return found

    @property
    def checks(self) -> list[str]:
        """Those that fail at the largest size."""
        if not self.trials:
            return []
        return [name for name in self.trials[0].verdicts if self.limit(name) is not None]

    def escapes(self, fault: Fault) -> list[str]:
        """What should have noticed the fault at its stated limit or above, and did not."""
        return [
            f"{check}: {trial.verdicts.get(check, 'not run')} at {trial.size:g} {fault.unit}"
            for trial in self.trials
            if trial.size >= fault.limit
            for expected, checks in (
                (Verdict.FAIL, fault.caught_by),
                (Verdict.INVALID, fault.refused_by),
            )
            for check in checks
            if trial.verdicts.get(check) is not expected
        ]

    def write(self, path: Path) -> None:
        """Write it as JSON; the file is whole or not there."""
        write_text_atomically(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote.

        Raises:
            InputError: something else is in the file.
        """
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            trials = [
                Trial(t["size"], {c: Verdict(v) for c, v in t["verdicts"].items()})
                for t in found.pop("trials")
            ]
            return cls(trials=trials, **found)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not the result of a fault; remove it: {error}") from error


def try_fault(fault: Fault, settings: Settings, student: str, exports: Path) -> Result:
    """Plant a fault in every size.

    At the largest size every check is asked, at smaller ones those that noticed the larger one and
    those that must: what does not see a fault does not see a smaller one.

    Args:
        fault: to plant.
        settings: that name the student.
        student: to plant it in.
        exports: folder for exported files, which faults share.
    """
    began = time.monotonic()
    trials: list[Trial] = []
    must = {*fault.caught_by, *fault.refused_by}
    wanted: set[str] | None = None
    for size in reversed(fault.sizes):
        try:
            with TemporaryDirectory(prefix="mlffd-fault-") as folder:
                healthy = Healthy(settings, student, Path(folder), exports)
                with fault.plant(healthy, size) as planted:
                    verdicts = _verdicts(planted, must, wanted)
        except MissingPackageError as error:
            return Result(fault.name, trials, time.monotonic() - began, str(error))
        trials.append(Trial(size, verdicts))
        wanted = must | {name for name, verdict in verdicts.items() if verdict is Verdict.FAIL}
    return Result(fault.name, trials, time.monotonic() - began)


def _verdicts(planted: Planted, must: set[str], wanted: set[str] | None) -> dict[str, Verdict]:
    if isinstance(planted, Slowed):
        return {THROUGHPUT: planted.judge().verdict}
    return {
        case.check.name: case.run().verdict
        for case in plan([planted]).cases
        if _is_asked(case, must, wanted)
    }


def _is_asked(case: Case, must: set[str], wanted: set[str] | None) -> bool:
    name = case.check.name
    return name in must or (name not in _SLOW if wanted is None else name in wanted)
