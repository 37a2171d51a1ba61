"""The command that plants faults: what catches them, from which size on, and what cries wolf.

Heavy imports are inside the command: help and bad usage answer at once.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mlffd.errors import InputError
from mlffd.files import require_writable
from mlffd.report.commands import Config, Json
from mlffd.report.console import output

if TYPE_CHECKING:
    from mlffd.config import Settings
    from mlffd.faults.catalogue import Fault
    from mlffd.faults.matrix import Matrix
    from mlffd.faults.trying import Result

_CLEAN = 20


def faults(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help="A fault or a concern (may be repeated)")
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="To plant faults in [default: the smallest with a golden]")
    ] = None,
    timed: Annotated[
        bool, typer.Option("--timed", help="Also those that only a clock can tell: take minutes")
    ] = False,
    clean: Annotated[int, typer.Option(min=0, help="Runs with nothing planted")] = _CLEAN,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes at a time [default: one per core]")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where what is known is kept")] = None,
    config: Config = None,
    json: Json = None,
    page: Annotated[
        Path | None, typer.Option(help="Also write it as Markdown, with a figure beside it (.svg)")
    ] = None,
) -> None:
    """Plant regressions in a healthy student: does every one of them turn its checks red?

    Each fault is planted in several sizes. An interrupted run goes on where it was, and what is
    known of this code and this student is not tried again.

    Exit code 0: all were caught, and nothing else; 1: one escaped, or a healthy student failed;
    2: bad usage or input; 3: one could not be planted here.
    """
    from mlffd.checks.run import load_settings_for
    from mlffd.faults.matrix import chosen_faults, default_cache, run_matrix
    from mlffd.processes import cores
    from mlffd.report.faults_page import write_page
    from mlffd.report.json_report import write_document

    for path, key in ((json, "--json"), (page, "--page")):
        if path is not None:
            require_writable(path, key)
    settings = load_settings_for(config, needed=True)
    assert settings.source is not None
    chosen = chosen_faults(only or [], timed=timed)
    with _progress() as progress:
        task = progress.add_task("", total=len(chosen) + clean)
        found = run_matrix(
            settings.source,
            student or _smallest(settings),
            chosen,
            clean=clean,
            jobs=jobs or cores(),
            cache=cache or default_cache(),
            on_done=lambda name: progress.update(task, advance=1, description=name),
        )
    print_matrix(found, output())
    if json is not None:
        write_document(found.as_dict(), json)
    if page is not None:
        write_page(found, page)
    raise typer.Exit(found.exit_code)


def _smallest(settings: "Settings") -> str:
    judged = {
        name: s for name, s in settings.students.items() if s.golden and s.dataset is not None
    }
    if not judged:
        raise InputError(f"{settings.source}: no student with a golden and a data set")
    return min(judged, key=lambda name: judged[name].checkpoint.stat().st_size)


def _progress() -> Progress:
    errors = Console(stderr=True)
    return Progress(
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,  # a log would keep an empty line of it
    )


def print_matrix(found: "Matrix", console: Console) -> None:
    """A line for each fault: the checks that fail, and from which size on."""
    rows = Table(box=None, pad_edge=False)
    for heading in ("", "fault", "fails, from size"):
        rows.add_column(heading, overflow="fold")
    for fault, result in zip(found.faults, found.results, strict=True):
        mark, style = "caught", "green"
        if fault.name in found.escaped:
            mark, style = "ESCAPED", "bold red"
        elif result.impossible:
            mark, style = "not tried", "yellow"
        rows.add_row(Text(mark, style), Text(fault.name), Text("; ".join(said(fault, result))))
    console.print(rows)
    for name, escapes in found.escaped.items():
        console.print(Text(f"{name} escaped: {'; '.join(escapes)}", "red"))
    for name, reason in found.impossible.items():
        console.print(Text(f"{name} was not tried: {reason}", "yellow"))
    for alarm in found.alarms:
        console.print(Text(f"false alarm: {alarm}", "red"))
    console.print(Text(summary(found)))


def said(fault: "Fault", result: "Result") -> Iterator[str]:
    """What fails of it, each with the least size that it sees."""
    if result.impossible:
        return
    for check in sorted(result.checks, key=lambda name: name not in fault.caught_by):
        limit = result.limit(check)
        at_most = "≤ " if limit == fault.sizes[0] else ""
        yield check if len(fault.sizes) == 1 else f"{check} {at_most}{limit:g} {fault.unit}"
    for check in fault.refused_by:
        yield f"{check} (invalid)"


def summary(found: "Matrix") -> str:
    """In a sentence."""
    tried = len(found.faults) - len(found.impossible)
    checks = sum(run.cases for run in found.clean)
    return (
        f"{found.student}: {tried - len(found.escaped)} of {tried} faults were caught; "
        f"{len(found.alarms)} false alarms in {len(found.clean)} clean runs, {checks} checks in all"
    )
