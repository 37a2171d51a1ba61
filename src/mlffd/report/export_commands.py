"""The command that exports students.

Heavy imports (torch, ASE) are inside the command: help and bad usage answer at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mlffd.errors import InputError
from mlffd.report.commands import Config
from mlffd.report.console import output, status
from mlffd.report.text import printable

if TYPE_CHECKING:
    from mlffd.config import Settings
    from mlffd.export.all_exports import Outcome


def export(
    student: Annotated[
        str | None, typer.Argument(help="A student in the settings or a checkpoint")
    ] = None,
    *,
    format_name: Annotated[
        str | None, typer.Option("--format", help="onnx, torch-export, aoti, torchscript, ...")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="[default: fp32]")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write to [default: of the settings]"),
    ] = None,
    opset: Annotated[int | None, typer.Option(help="Of ONNX [default: 18]")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A data set that int8-static is calibrated with")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every format of every student of the settings")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of --all [default: as many as there are cores]"),
    ] = None,
    config: Config = None,
) -> None:
    """Export students to files that run without mlffd, each with a manifest beside it.

    Every file is run and compared with the student before it is put in place. What --all finds up
    to date stays. The ONNX formats need the export extra of mlffd.

    Exit code 0: all are there and right; 1: one is wrong, and was not kept; 2: bad usage or input;
    3: an exporter failed.
    """
    from mlffd.checks.run import load_settings_for
    from mlffd.export.all_exports import exit_code
    from mlffd.report.exports import print_exports

    settings = load_settings_for(config, needed=everything)
    chosen = {"opset": opset, "calibration": calibration and str(calibration)}
    options = {name: value for name, value in chosen.items() if value is not None}
    if everything and (student or format_name or precision or options):
        raise InputError("--all: takes no student, --format, --precision, --opset or --calibration")
    if not everything and jobs is not None:
        raise InputError("--jobs: expected with --all only")
    try:
        if everything:
            outcomes = _export_all(settings, folder, jobs)
        elif student and format_name:
            wanted = (student, format_name, precision or "fp32")
            outcomes = [_export_one(*wanted, settings, folder, options)]
        else:
            raise InputError("expected a student and --format, or --all")
    except KeyboardInterrupt:
        typer.echo("stopped; what is there is whole", err=True)
        raise typer.Exit(130) from None  # as shells report an interrupt
    print_exports(outcomes, output())
    raise typer.Exit(exit_code(outcomes))


def _export_one(
    name: str,
    format_name: str,
    precision: str,
    settings: "Settings",
    folder: Path | None,
    options: dict[str, Any],
) -> "Outcome":
    from mlffd.checks.measuring import named_students
    from mlffd.export.all_exports import Outcome, State, Task
    from mlffd.export.exporting import export as export_student
    from mlffd.export.formats import format_named
    from mlffd.export.placing import made

    started = monotonic()
    with status(f"exporting {name}"):
        format_named(format_name)  # before anything is read
        (student,) = named_students([name], settings)
        if folder is None:
            folder = made(settings.exports.folder)
        artifact = export_student(
            student.checkpoint,
            student.name,
            format_name,
            precision,
            folder,
            options=options,
        )
    task = Task(student.name, student.path, format_name, precision)
    return Outcome(task, State.WRITTEN, artifact, monotonic() - started)


def _export_all(settings: "Settings", folder: Path | None, jobs: int | None) -> "list[Outcome]":
    from mlffd.export.all_exports import export_all, plan

    tasks = plan(settings)
    with _progress(len(tasks)) as show:
        return export_all(tasks, folder or settings.exports.folder, jobs=jobs, on_done=show)


@contextmanager
def _progress(count: int) -> "Iterator[Callable[[Outcome], None]]":
    """A bar on standard error, or a line for each file where there is no terminal."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("exporting"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task("", total=count)

        def show(outcome: "Outcome") -> None:
            progress.advance(bar)
            if not console.is_terminal:
                line = f"{outcome.task.name}: {outcome.state} ({outcome.seconds:.0f} s)"
                typer.echo(printable(line), err=True)

        yield show
