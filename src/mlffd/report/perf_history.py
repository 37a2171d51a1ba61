"""The command that measures a commit for the history.

Heavy imports (torch, ASE) are inside the command: help and bad usage answer at once.
"""

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlffd.errors import InputError
from mlffd.report.commands import Config
from mlffd.report.console import output, status
from mlffd.report.perf_gate import RATIOS, Ratios
from mlffd.report.text import printable

if TYPE_CHECKING:
    from mlffd.performance.recording import Recorded


def history(
    commit: Annotated[str, typer.Argument(help="What to measure")] = "HEAD",
    *,
    reference: Annotated[
        str | None,
        typer.Option(help="What ratios are relative to [default: performance.reference]"),
    ] = None,
    machine: Annotated[
        str | None, typer.Option(help="Whose history it is [default: this one's name]")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A tier or a workload (may be repeated)")
    ] = None,
    ratios: Ratios = None,
    cache: Annotated[Path | None, typer.Option(help="Where built commits are kept")] = None,
    config: Config = None,
) -> None:
    """Measure a commit against the pinned reference, and store ratios, counters and accuracy.

    What is stored of the commit on this machine is replaced. It judges nothing: mlffd perf gate
    does.

    Exit code 0: stored; 2: bad usage or input; 3: a worker died; 4: a commit cannot be built;
    5: nothing could be measured; 6: the device is missing.
    """
    from mlffd.checks.run import load_settings_for
    from mlffd.performance.ratios import require_machine, write_ratios
    from mlffd.performance.recording import record
    from mlffd.performance.revisions import build, resolve

    name = machine or platform.node()
    require_machine(name)
    settings = load_settings_for(config, needed=True)
    assert settings.source is not None
    root = settings.source.parent
    pinned = reference or settings.performance.reference
    if pinned is None:
        raise InputError(
            f"{settings.source}: performance.reference: missing; expected a commit, or --reference"
        )
    commits = [resolve(root, revision) for revision in (pinned, commit)]
    with status("building") as progress:
        old, new = (build(root, one, cache) for one in commits)
        launches = 0

        def show() -> None:
            nonlocal launches
            launches += 1
            progress.update(f"measuring, launch {launches}")

        found = record(root, old, new, settings, only=only or [], on_launch=show)
    path = write_ratios(ratios or root / RATIOS, name, found.ratios)
    print_recorded(found, output())
    typer.echo(printable(f"stored: {path}"))


def print_recorded(found: "Recorded", console: Console) -> None:
    """Print the ratios, and what could not be measured."""
    title = f"{found.ratios.commit[:12]} against {found.ratios.reference[:12]}: ratio of seconds"
    console.print(Text(title, style="bold"))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(("workload", "ratio", "95% interval")):
        grid.add_column(heading, justify="right" if index else "left", no_wrap=True)
    for name, ratio in found.ratios.benchmarks.items():
        interval = f"{ratio.low:.3f} to {ratio.high:.3f}"
        grid.add_row(Text(printable(name)), f"{ratio.ratio:.3f}", interval)
    console.print(grid)
    for name, reason in found.omitted.items():
        console.print(Text(printable(f"not measured: {name}: {reason}"), "yellow"), soft_wrap=True)
