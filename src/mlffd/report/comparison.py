"""Two students against each other, on the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlffd.checks.comparing import StudentComparison
from mlffd.golden.bootstrap import Change
from mlffd.golden.paired import Paired
from mlffd.report.figures import COLUMNS, columns
from mlffd.report.terminal import STYLES
from mlffd.report.text import printable


def print_comparison(found: StudentComparison, console: Console) -> None:
    """Print metrics, elements, the structures that get worse, and the verdict."""
    paired = found.paired
    title = (
        f"{found.candidate} against {found.baseline} on {found.dataset}: errors against "
        f"{found.teacher}, {paired.baseline.structures:,} structures, 95% intervals over "
        f"{paired.baseline.units:,} {paired.baseline.resampled}"
    )
    console.print(Text(printable(title), style="bold"), soft_wrap=True)
    console.print(_metrics(paired))
    console.print(Text(""))
    console.print(_elements(paired))
    if paired.worst:
        console.print(Text(""))
        console.print(_worst(paired))
    for note in found.notes:
        console.print(Text(printable(f"\nnote: {note}"), "yellow"), soft_wrap=True)
    verdict = Text(f"\n{found.verdict}: ", style=STYLES[found.verdict])
    console.print(verdict.append(printable(found.message), style="not bold"), soft_wrap=True)


def _grid(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    return table


def _metrics(paired: Paired) -> Table:
    """Every figure; a change and a status for those that decide."""
    decided = {c.metric: c for c in paired.metrics}
    table = _grid("", "baseline [95%]", "candidate [95%]", "change [95%]", "verdict")
    for column in COLUMNS:
        before, after = paired.baseline.overall, paired.candidate.overall
        if column.metric not in before and column.metric not in after:
            continue
        comparison = decided.get(column.metric)
        table.add_row(
            column.heading,
            Text(column.cell(before)),
            Text(column.cell(after)),
            Text(_change(comparison.change if comparison else None)),
            str(comparison.status) if comparison else "",
        )
    return table


def _elements(paired: Paired) -> Table:
    (rmse,) = columns("forces_rmse")
    table = _grid("element", f"baseline {rmse.heading}", "candidate", "change [95%]")
    for symbol, change in paired.by_element.items():
        table.add_row(
            symbol,
            Text(rmse.cell(paired.baseline.by_element[symbol])),
            Text(rmse.cell(paired.candidate.by_element[symbol])),
            Text(_change(change)),
        )
    return table


def _worst(paired: Paired) -> Table:
    table = _grid(
        "worse by most", "atoms", "force RMSE, eV/Å", "energy error, meV/atom (magnitude)"
    )
    for item in paired.worst:
        before, after = item.forces_rmse
        table.add_row(
            Text(printable(item.name)),
            f"{item.atoms:,}",
            f"{before:.3g} -> {after:.3g}",
            " -> ".join(f"{1e3 * energy:.3g}" for energy in item.energy_per_atom),
        )
    return table


def _change(change: Change | None) -> str:
    if change is None:
        return ""
    return f"{100 * change.estimate:+.3g}% [{100 * change.low:+.3g}%, {100 * change.high:+.3g}%]"
