"""What came of exports, on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlffd.export.all_exports import Outcome, State
from mlffd.export.manifest import read_manifest
from mlffd.report.text import printable

_STYLES = {
    State.WRITTEN: "green",
    State.UP_TO_DATE: "green",
    State.UNSUPPORTED: "yellow",
    State.FAILED: "red",
}


def print_exports(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print size and worst deviations of what is there, why something is not, and the count."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", ""):
        table.add_column(heading, no_wrap=True)
    for heading in ("KiB", "energy, eV/atom", "forces, eV/Å", "virial, eV/atom", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for outcome in outcomes:
        table.add_row(
            Text(printable(outcome.artifact.name if outcome.artifact else outcome.task.name)),
            Text(outcome.state, _STYLES[outcome.state]),
            *_figures(outcome),
        )
    console.print(table)
    for outcome in outcomes:
        if outcome.artifact is None:
            console.print(
                Text(printable(f"{outcome.task.name}: {outcome.message}"), _STYLES[outcome.state]),
                soft_wrap=True,
            )
        elif warnings := read_manifest(outcome.artifact).created.get("warnings"):
            console.print(Text(printable(f"{outcome.artifact.name}: {warnings}")), soft_wrap=True)
    counts = [
        f"{count} {state}"
        for state in State
        if (count := sum(outcome.state is state for outcome in outcomes))
    ]
    console.print(Text(", ".join(counts)))


def _figures(outcome: Outcome) -> list[str]:
    seconds = f"{outcome.seconds:.1f}" if outcome.seconds else ""
    if outcome.artifact is None:
        return ["", "", "", "", seconds]
    manifest = read_manifest(outcome.artifact)
    measured = manifest.measured
    deviations = (measured.energy_per_atom, measured.forces, measured.virial)
    return [
        f"{manifest.size / 1024:,.0f}",
        *("" if value is None else f"{value:.1e}" for value in deviations),
        seconds,
    ]
