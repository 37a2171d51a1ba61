"""Every format of every student that the settings ask for, in processes side by side."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mlffd.checkpoints import read_checkpoint
from mlffd.config import Settings
from mlffd.errors import InputError, MissingPackageError, MlffdError, RefusedError
from mlffd.export.exporting import Order, export
from mlffd.export.formats import FORMATS, PRECISIONS, format_named
from mlffd.export.freshness import reason_to_export
from mlffd.export.placing import made, put_in_place, staging
from mlffd.processes import Failure, cores, run_apart


@dataclass(frozen=True)
class Task:
    """One file to export.

    Attributes:
        student: its name.
        checkpoint: its weights.
        format: to write.
        precision: to write in.
        unsupported: why it is expected to fail; None: it is expected to succeed.
    """

    student: str
    checkpoint: Path
    format: str
    precision: str
    unsupported: str | None = None

    @property
    def name(self) -> str:
        """Of the task, in reports; the file's name begins with it."""
        return f"{self.student}-{self.format}-{self.precision}"


#: A task, and the folder to export to.
Work = tuple[Task, Path]


class State(StrEnum):
    """What came of a task."""

    WRITTEN = "written"
    UP_TO_DATE = "up to date"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes:
        task: that ended.
        state: how.
        artifact: that is in place now; None: none is.
        seconds: that it took.
        message: why it was written, why it failed, or why it is unsupported.
        exit_code: 0, or that of the failure.
    """

    task: Task
    state: State
    artifact: Path | None = None
    seconds: float = 0.0
    message: str = ""
    exit_code: int = 0


def plan(settings: Settings) -> list[Task]:
    """What the settings ask for, and what they declare to be unsupported.

    Raises:
        InputError: they name a format or a precision that there is not, declare something that
            nobody could ask for, or ask for nothing.
    """
    wanted = [
        (format_name, precision)
        for format_name, precisions in settings.exports.precisions.items()
        for precision in precisions
    ]
    unsupported = {
        _declared(key, settings): why for key, why in settings.exports.unsupported.items()
    }
    for format_name, precision in wanted:
        key = f"{settings.source}: exports.{format_name}"
        if format_name not in FORMATS:
            allowed = ", ".join(["budget", "folder", "unsupported", *FORMATS])
            raise InputError(f"{key}: unknown key; allowed here: {allowed}")
        if precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise InputError(f"{key}: precision {precision!r} is unknown, expected one of {known}")
    if not wanted:
        raise InputError(f"{settings.source or 'settings'}: exports: no format is listed")
    if not settings.students:
        raise InputError(f"{settings.source}: students: there is none to export")
    return [
        Task(name, student.checkpoint, *combination, unsupported=unsupported.get(combination))
        for name, student in settings.students.items()
        for combination in dict.fromkeys([*wanted, *unsupported])
    ]


def export_task(work: Work) -> None:
    """Export a task to a folder.

    Raises:
        InputError, RefusedError: see `export`.
    """
    task, folder = work
    export(read_checkpoint(task.checkpoint), task.student, task.format, task.precision, folder)


def export_all(
    tasks: Sequence[Task],
    folder: Path,
    *,
    jobs: int | None = None,
    on_done: Callable[[Outcome], None] = lambda outcome: None,
    worker: Callable[[Work], None] = export_task,
) -> list[Outcome]:
    """Export what is not there yet, or not as it would be made now; one failure stops nothing.

    Args:
        tasks: to do.
        folder: to write to; is made if it is not there.
        jobs: processes at a time; as many as there are cores if None.
        on_done: called with what came of each task, as they end.
        worker: exports a task to a folder; a function of a module.

    Returns:
        What came of each task, in order.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    outcomes: dict[Task, Outcome] = {}
    with staging(made(folder)) as aside:
        for outcome in _outcomes(tasks, folder, aside, jobs or cores(), worker):
            outcomes[outcome.task] = outcome
            on_done(outcome)
    return [outcomes[task] for task in tasks]


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Of a command: 1 if a file is wrong or a declaration out of date, before 3, 2 and 0."""
    found = {outcome.exit_code for outcome in outcomes}
    return next(code for code in (1, 3, 2, 0) if code in found)


def _outcomes(
    tasks: Sequence[Task],
    folder: Path,
    aside: Path,
    jobs: int,
    worker: Callable[[Work], None],
) -> Iterator[Outcome]:
    needed = []
    for task in tasks:
        try:
            order = _order(task)
            reason = reason_to_export(order, folder)
        except MlffdError as error:
            yield _failed(task, Failure.from_error(error))
            continue
        artifact = folder / order.file_name
        if reason is None and task.unsupported is None:
            yield Outcome(task, State.UP_TO_DATE, artifact)
        else:
            needed.append((task, artifact, reason or ""))
    works = [(task, aside) for task, _, _ in needed]
    for ended in run_apart(worker, works, jobs=jobs):
        task, artifact, reason = needed[ended.number]
        if ended.failure is not None:
            yield _failed(task, ended.failure, ended.seconds)
        elif task.unsupported is not None:
            message = f"works, but is declared as unsupported: {task.unsupported}"
            yield Outcome(task, State.FAILED, None, ended.seconds, message, RefusedError.exit_code)
        else:
            try:
                put_in_place(aside / artifact.name, artifact)
            except MlffdError as error:
                yield _failed(task, Failure.from_error(error), ended.seconds)
            else:
                yield Outcome(task, State.WRITTEN, artifact, ended.seconds, reason)


def _order(task: Task) -> Order:
    checkpoint = read_checkpoint(task.checkpoint)
    return Order(checkpoint, task.student, format_named(task.format), task.precision)


def _failed(task: Task, failure: Failure, seconds: float = 0.0) -> Outcome:
    """A failure that was declared is none, unless it is only that a package is not there."""
    if task.unsupported is not None and failure.kind != MissingPackageError.__name__:
        return Outcome(task, State.UNSUPPORTED, None, seconds, task.unsupported)
    return Outcome(task, State.FAILED, None, seconds, failure.message, failure.exit_code)


def _declared(key: str, settings: Settings) -> tuple[str, str]:
    """Format and precision of a declaration."""
    for name in FORMATS:
        for precision in PRECISIONS:
            if key == f"{name}-{precision}":
                return name, precision
    raise InputError(
        f"{settings.source}: exports.unsupported.{key}: expected <format>-<precision>, formats"
        f" {', '.join(FORMATS)}, precisions {', '.join(PRECISIONS)}"
    )
