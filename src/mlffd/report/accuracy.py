"""Accuracy of students on the terminal: side by side, and broken down."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlffd.checks.measuring import StudentAccuracy
from mlffd.checks.standings import SIGNIFICANT, Rivalry, Standings
from mlffd.golden.breakdown import Breakdown, Figures
from mlffd.golden.compare import Status
from mlffd.report.figures import BY_ATOMS, BY_STRUCTURES, COLUMNS, STANDINGS, Column, count_of
from mlffd.report.text import printable


def print_standings(standings: Standings, console: Console) -> None:
    """Students side by side, and which of them differ significantly."""
    first = next(iter(standings.accuracy.values()))
    title = f"\naccuracy on {standings.dataset}: errors against {standings.teacher}"
    console.print(Text(printable(f"{title}, {_basis(first)}"), style="bold"), soft_wrap=True)
    table = _table("student", "parameters", STANDINGS)
    for name, found in standings.accuracy.items():
        parameters = f"{standings.parameters[name]:,}"
        _add_row(table, name, parameters, found.overall, STANDINGS)
    console.print(table)
    for rivalry in standings.rivalries:
        console.print(Text(printable(_describe(rivalry))), soft_wrap=True)


def print_breakdown(measured: StudentAccuracy, console: Console) -> None:
    """One student: over all, by element, size and kind, and its worst structures."""
    found = measured.breakdown
    title = (
        f"\n{measured.student} on {measured.dataset}: errors against {measured.teacher}, "
        f"{_basis(found)}"
    )
    console.print(Text(printable(title), style="bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "value [95%]", "structures"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for column in COLUMNS:
        if column.metric in found.overall:
            count = f"{found.overall[column.metric].structures:,}"
            table.add_row(column.heading, Text(column.cell(found.overall)), count)
    console.print(table)
    for part, rows, shown in (
        ("element", found.by_element, BY_ATOMS),
        ("atoms", found.by_size, BY_STRUCTURES),
        ("kind", found.by_kind, BY_STRUCTURES),
    ):
        table = _table(part, "structures", shown)
        for key, row in rows.items():
            _add_row(table, key, count_of(row), row, shown)
        console.print(Text(""))
        console.print(table)
    console.print(_worst(found))


def _basis(found: Breakdown) -> str:
    """What the intervals rest on."""
    return f"{found.structures:,} structures, 95% intervals over {found.units:,} {found.resampled}"


def _table(key: str, count: str, shown: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(key, no_wrap=True)
    for heading in (count, *(f"{c.title}\n{c.unit}".rstrip() for c in shown)):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _add_row(table: Table, key: str, count: str, row: Figures, shown: Sequence[Column]) -> None:
    table.add_row(Text(printable(key)), count, *(Text(c.cell(row)) for c in shown))


def _describe(rivalry: Rivalry) -> str:
    """Which of two is better in what."""
    by_status: Mapping[Status, list[str]] = {
        status: [
            f"{c.metric} ({c.change.in_percent})"
            for c in rivalry.comparisons
            if c.status is status and c.change is not None
        ]
        for status in SIGNIFICANT
    }
    parts = [
        f"{better} is significantly better than {worse} in {', '.join(by_status[status])}"
        for status, better, worse in (
            (Status.REGRESSED, rivalry.first, rivalry.second),
            (Status.IMPROVED, rivalry.second, rivalry.first),
        )
        if by_status[status]
    ]
    if not parts:
        return f"  {rivalry.first} and {rivalry.second}: no significant difference"
    return "  " + "; ".join(parts) + f" (changes from {rivalry.first} to {rivalry.second})"


def _worst(found: Breakdown) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("\nworst structures", no_wrap=True)
    for heading in ("\natoms", "energy error\nmeV/atom", "force RMSE\neV/Å", "largest\neV/Å"):
        table.add_column(heading, justify="right", no_wrap=True)
    for error in found.worst:
        table.add_row(
            Text(printable(error.name)),
            f"{error.atoms:,}",
            f"{1e3 * error.energy_per_atom:+.3g}",
            f"{error.forces_rmse:.3g}",
            f"{error.forces_max:.3g}",
        )
    return table
