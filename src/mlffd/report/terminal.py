"""A run as a table on the terminal."""

from collections.abc import Collection, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mlffd.checks.cases import Omission
from mlffd.checks.evidence import Criterion, Evidence
from mlffd.checks.registry import all_checks
from mlffd.checks.run import Run
from mlffd.report.accuracy import print_standings
from mlffd.report.text import printable
from mlffd.verdicts import Verdict

#: Larger numbers are no counts, and would take up the whole line.
LARGEST_COUNT = 1e9

#: Of verdicts.
STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.INVALID: "bold magenta",
}


def print_run(run: Run, console: Console) -> None:
    """Print the table, what needs attention, what was left out, standings, and the verdict."""
    console.print(_table(run.evidence))
    unloaded = {e.subject for e in run.evidence if e.check == "loads" and _failed(e)}
    for evidence in run.evidence:
        # Of what does not load nothing can be measured: saying so once is enough.
        if evidence.subject in unloaded and evidence.verdict is Verdict.INVALID:
            continue
        if evidence.verdict is not Verdict.PASS or evidence.noteworthy:
            # Whole lines, however long: a log is searched, and a terminal wraps by itself.
            console.print(_finding(evidence), soft_wrap=True)
    if failed := {e.check for e in run.evidence if _failed(e)}:
        console.print(_meanings(failed), soft_wrap=True)
    if run.omissions:
        console.print(_omissions(run.omissions), soft_wrap=True)
    for standings in run.standings:
        print_standings(standings, console)
    if (settings := run.environment.get("settings")) is not None:
        console.print(Text(printable(f"\nsettings: {settings}")), soft_wrap=True)
    console.print(_summary(run))


def _failed(evidence: Evidence) -> bool:
    return evidence.verdict is Verdict.FAIL


def _meanings(names: Collection[str]) -> Group:
    """What failures probably mean, once for each check."""
    return Group(
        Text("\nwhat failures probably mean:", style="bold"),
        *(Text(f"  {c.name}: {c.meaning}") for c in all_checks() if c.name in names),
    )


def describe(evidence: Evidence) -> str:
    """Evidence in plain text: verdict, message, and each criterion that does not hold."""
    lines = [f"{evidence.subject}: {evidence.check}: {evidence.verdict}: {evidence.message}"]
    lines += [f"  {c.name}: {_against(c)}" for c in evidence.failing]
    return printable("\n".join(lines))


def _table(evidence: Sequence[Evidence]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("subject", "check", "verdict"):
        table.add_column(column, no_wrap=True)
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("worst criterion", no_wrap=True)
    for item in evidence:
        worst = item.worst
        table.add_row(
            Text(printable(item.subject)),
            Text(item.check),
            Text(str(item.verdict), style=STYLES[item.verdict]),
            _number(worst.measured) if worst else "",
            _number(worst.limit) if worst else "",
            Text(f"{worst.name} {worst.unit and f'({worst.unit})'}" if worst else ""),
        )
    return table


def _finding(evidence: Evidence) -> Text:
    style = STYLES[evidence.verdict]
    text = Text(printable(f"\n{evidence.subject}: {evidence.check}: "), style="bold")
    text.append(str(evidence.verdict), style=style)
    text.append(printable(f"\n  {evidence.message}"), style="not bold")
    for criterion in evidence.failing:
        text.append(f"\n  {criterion.name}: {_against(criterion)}", style="not bold")
    return text


def _against(criterion: Criterion) -> str:
    measured = f"{_number(criterion.measured)} {criterion.unit}".rstrip()
    return f"{measured} (limit {_number(criterion.limit)})"


def _number(value: float) -> str:
    """Counts in full, measurements to three digits."""
    is_count = abs(value) < LARGEST_COUNT and value == round(value)
    return f"{value:,.0f}" if is_count else f"{value:.3g}"


def _omissions(omissions: Sequence[Omission]) -> Group:
    return Group(
        Text("\nnot asked:", style="bold"),
        *(Text(printable(f"  {o.subject}: {o.check}: {o.reason}"), "dim") for o in omissions),
    )


def _summary(run: Run) -> Text:
    counts = ", ".join(
        f"{n} {verdict}"
        for verdict in Verdict
        if (n := sum(e.verdict is verdict for e in run.evidence))
    )
    return Text(f"\n{run.verdict}: {counts}", style=STYLES[run.verdict])
