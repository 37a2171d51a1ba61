"""What is stored of each commit: its speed against a pinned reference, counters and accuracy.

One JSON file for each machine and commit, ``<folder>/<machine>/<first 12 digits>.json``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from mlffd.errors import InputError, NothingMeasuredError
from mlffd.files import make_folder, write_text_atomically
from mlffd.golden.store import describe_problems, to_text
from mlffd.performance.revisions import first_parents, resolve

#: Digits of a commit in a file's name and wherever a person reads or writes it.
SHORT = 12

Commit = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Ratio(_Strict):
    """Seconds of a commit over seconds of the reference: more than 1 is slower.

    Attributes:
        ratio: the estimate.
        low: end of its 95% interval.
        high: the other end.
        launches: of the processes that it rests on.
    """

    ratio: Positive
    low: Positive
    high: Positive
    launches: PositiveInt

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.ratio <= self.high:
            raise ValueError("expected low <= ratio <= high")
        return self


class Accuracy(_Strict):
    """Errors of a student on its labelled structures.

    Attributes:
        force_rmse: eV/Å.
        energy_rmse: eV per atom.
    """

    force_rmse: NotNegative
    energy_rmse: NotNegative


class CommitRatios(_Strict):
    """What was measured of a commit on a machine.

    Attributes:
        format_version: of this layout.
        commit: its full name.
        date: when it was committed, ISO 8601 with a time zone.
        subject: first line of its message.
        reference: full name of the pinned commit that was measured in the same job.
        machine: what it was measured on and with.
        benchmarks: by name.
        counters: by name of the benchmark, then of the counter.
        accuracy: by student.
    """

    format_version: Literal[1] = 1
    commit: Commit
    date: Annotated[AwareDatetime, Field(strict=False)]
    subject: str
    reference: Commit
    machine: dict[str, Any]
    benchmarks: dict[str, Ratio]
    counters: dict[str, dict[str, NonNegativeInt]] = {}
    accuracy: dict[str, Accuracy] = {}


class Quantity(StrEnum):
    """What a series is of. Of all of them, less is better."""

    TIME = "time"
    COUNTER = "counter"
    ACCURACY = "accuracy"


@dataclass(frozen=True)
class Point:
    """What was measured of one commit.

    Attributes:
        commit: its full name.
        position: in the history, from 0 for the oldest commit.
        date: of the commit, ISO 8601.
        subject: of its message.
        value: a ratio, a count or an error.
        interval: 95%, of ratios only.
    """

    commit: str
    position: int
    date: str
    subject: str
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Series:
    """Points that can be compared with each other, in the order of the history.

    Attributes:
        machine: where they were measured.
        quantity: what they are.
        name: of the benchmark; of counters ``<benchmark>: <counter>``; of accuracy
            ``<student>: <quantity>``.
        reference: full name of the commit that ratios are relative to; None: they are no ratios.
        points: at least one.
    """

    machine: str
    quantity: Quantity
    name: str
    reference: str | None
    points: tuple[Point, ...]

    @property
    def subject(self) -> str:
        """The workload or student that it is about."""
        return self.name.partition(": ")[0]

    @property
    def newest(self) -> int:
        """Position of the last point."""
        return self.points[-1].position


@dataclass(frozen=True)
class History:
    """Everything that is stored of a history.

    Attributes:
        commits: full names along the first parents, the oldest first.
        series: by machine, quantity and name; of several references the older one first.
        left_out: how many stored files are of commits that are not in it.
    """

    commits: tuple[str, ...]
    series: tuple[Series, ...]
    left_out: int


def require_machine(name: str) -> None:
    """Refuse a machine's name that results cannot be published under.

    Raises:
        InputError: it cannot be a folder's name everywhere.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(
            f"machine: {name!r}, expected letters, digits, dots, dashes and underscores"
        )


def ratios_path(folder: Path, machine: str, commit: str) -> Path:
    """Where the ratios of a commit are."""
    return folder / machine / f"{commit[:SHORT]}.json"


def write_ratios(folder: Path, machine: str, ratios: CommitRatios) -> Path:
    """Write the ratios of a commit, whole or not at all, in place of older ones; their path.

    Raises:
        InputError: the machine's name cannot be one of a folder, or the file cannot be written.
    """
    require_machine(machine)
    path = ratios_path(folder, machine, ratios.commit)
    make_folder(path.parent)
    write_text_atomically(path, to_text(ratios))
    return path


def read_ratios(path: Path) -> CommitRatios:
    """Read the ratios of a commit.

    Raises:
        InputError: the file is damaged, or not named after its commit.
    """
    try:
        ratios = CommitRatios.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(
            f"{path}: not the ratios of a commit: {describe_problems(error)}"
        ) from error
    if path.stem != ratios.commit[:SHORT]:
        raise InputError(f"{path}: commit: {ratios.commit}, expected the one that names the file")
    return ratios


def read_series(folder: Path, repository: Path, revision: str = "HEAD") -> History:
    """Series of everything that is stored of the first parents of a revision, and of itself.

    Ratios to one reference say nothing about ratios to another: each reference has its series.

    Args:
        folder: of the stored ratios, with a folder for each machine.
        repository: a folder in it.
        revision: the newest commit to take.

    Raises:
        InputError: a file is damaged, or the repository does not have the history.
        NothingMeasuredError: nothing is stored of this history.
    """
    commits = first_parents(repository, resolve(repository, revision))
    positions = {commit: position for position, commit in enumerate(commits)}
    # A name with a dot in front is of a file that was never finished.
    paths = sorted(p for p in folder.glob("*/*.json") if not p.name.startswith("."))
    stored = [(path.parent.name, read_ratios(path)) for path in paths]
    known = [(machine, ratios) for machine, ratios in stored if ratios.commit in positions]
    if not known:
        raise NothingMeasuredError(
            f"{folder}: no ratios of {revision} or of a commit before it "
            f"({len(stored)} of other commits)"
        )
    known.sort(key=lambda item: positions[item[1].commit])
    points: dict[tuple[str, Quantity, str, str | None], list[Point]] = {}
    for machine, ratios in known:
        for quantity, name, value, interval in _values(ratios):
            reference = ratios.reference if quantity is Quantity.TIME else None
            points.setdefault((machine, quantity, name, reference), []).append(
                Point(
                    ratios.commit,
                    positions[ratios.commit],
                    ratios.date.isoformat(),
                    ratios.subject,
                    value,
                    interval,
                )
            )
    series = [Series(*key, tuple(values)) for key, values in points.items()]
    order = list(Quantity)
    series.sort(key=lambda s: (s.machine, order.index(s.quantity), s.name, s.newest))
    return History(commits, tuple(series), len(stored) - len(known))


def _values(
    ratios: CommitRatios,
) -> Iterator[tuple[Quantity, str, float, tuple[float, float] | None]]:
    for name, ratio in ratios.benchmarks.items():
        yield Quantity.TIME, name, ratio.ratio, (ratio.low, ratio.high)
    for name, counters in ratios.counters.items():
        for counter, count in counters.items():
            yield Quantity.COUNTER, f"{name}: {counter}", count, None
    for student, accuracy in ratios.accuracy.items():
        for name, value in accuracy:
            yield Quantity.ACCURACY, f"{student}: {name}", value, None
