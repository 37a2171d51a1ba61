"""The command that judges the history: which commits made something worse.

Heavy imports are inside the command: help and bad usage answer at once.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlffd.files import require_writable, write_text_atomically
from mlffd.report.commands import Config, Json
from mlffd.report.console import output, status
from mlffd.report.markdown import code, plain_text, table
from mlffd.report.text import printable

if TYPE_CHECKING:
    from mlffd.config import Settings
    from mlffd.performance.history_gate import Gate, Step
    from mlffd.performance.history_rules import Rules
    from mlffd.performance.ratios import Series

#: Where ratios are stored, in the folder of the settings.
RATIOS = Path("asv_benchmarks/ratios")

Ratios = Annotated[
    Path | None,
    typer.Option(help=f"The folder of stored ratios [default: {RATIOS} beside the settings]"),
]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Also write it as Markdown")]

_STYLES = {
    "regression": "bold red",
    "accepted": "yellow",
    "undone": "yellow",
    "improvement": "green",
}
_HEADINGS = ("", "machine", "series", "change", "level", "commits", "p")


def gate(
    *,
    ratios: Ratios = None,
    revision: Annotated[str, typer.Option(help="The newest commit to look at")] = "HEAD",
    machine: Annotated[
        list[str] | None, typer.Option(help="One that must have measured lately (may be repeated)")
    ] = None,
    config: Config = None,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """Judge the history: steps of speed, counters and accuracy, and the commits that made them.

    A step for the worse that was neither undone nor accepted under [performance.accepted] of the
    settings is a regression. Needs apache-otava.

    Exit code 0: none; 1: a regression; 2: bad usage or input; 3: too few commits to tell yet, or
    something that the settings name is no longer measured; 5: nothing was measured.
    """
    from mlffd.checks.run import load_settings_for
    from mlffd.performance.history_gate import judge
    from mlffd.performance.ratios import read_series
    from mlffd.report.json_report import write_document

    for path, key in ((json, "--json"), (markdown, "--markdown")):
        if path is not None:
            require_writable(path, key)
    with status("judging"):
        settings = load_settings_for(config, needed=False)
        root = settings.source.parent if settings.source else Path.cwd()
        rules = rules_of(settings, machine or ())
        found = judge(read_series(ratios or root / RATIOS, root, revision), rules)
    print_gate(found, output())
    if json is not None:
        write_document(found.as_dict(), json)
    if markdown is not None:
        write_text_atomically(markdown, gate_markdown(found))
    raise typer.Exit(found.exit_code)


def rules_of(settings: "Settings", machines: Iterable[str] = ()) -> "Rules":
    """What counts as a regression, and what is to be measured, by the settings."""
    from mlffd.performance.history_rules import Rules

    told = settings.performance
    labelled = {name for name, one in settings.students.items() if one.dataset is not None}
    return Rules(
        step=told.step,
        accepted=told.accepted,
        expected=frozenset(labelled.union(told.workloads)),
        machines=frozenset(machines),
    )


def print_gate(found: "Gate", console: Console) -> None:
    """Print the steps that matter, what was not judged, and the verdict."""
    shown = _shown(found)
    if shown:
        grid = Table(box=None, pad_edge=False, header_style="bold")
        for index, heading in enumerate(_HEADINGS):
            grid.add_column(heading, justify="right" if index in (3, 6) else "left", no_wrap=True)
        for step in shown:
            cells = [Text(printable(cell)) for cell in _cells(step)]
            cells[0].stylize(_STYLES[step.standing])
            grid.add_row(*cells)
        console.print(grid)
    for line in [*_advice(found), *_unjudged(found)]:
        console.print(Text(printable(line)), soft_wrap=True)
    style = {0: "green", 1: "bold red", 3: "yellow"}[found.exit_code]
    console.print(Text(f"{found.verdict}: {_summary(found)}", style), soft_wrap=True)


def gate_markdown(found: "Gate") -> str:
    """The same for a comment or a job's summary."""
    parts = [f"**History: {found.verdict}**, {_summary(found)}"]
    if shown := _shown(found):
        # The column of levels and those after it would be no better aligned to the right.
        rows = [
            [code(c) if i in (2, 5) else plain_text(c) for i, c in enumerate(_cells(s))]
            for s in shown
        ]
        parts.append(table([h or "step" for h in _HEADINGS], rows, numbers_from=len(_HEADINGS)))
    lines = [*_advice(found), *_unjudged(found)]
    if lines:
        parts.append("\n".join(f"- {plain_text(line)}" for line in lines))
    return "\n\n".join(parts) + "\n"


def _shown(found: "Gate") -> "list[Step]":
    """Small steps are in the JSON document only."""
    return [step for step in found.steps if step.standing in _STYLES]


def _cells(step: "Step") -> list[str]:
    digits = ".6g" if step.p_value is None else ".3f"
    return [
        step.standing,
        step.series.machine,
        step.series.name,
        f"{100 * step.change:+.3g}%",
        f"{step.before:{digits}} -> {step.after:{digits}}",
        _range(step),
        "exact" if step.p_value is None else f"{step.p_value:.0e}",
    ]


def _range(step: "Step") -> str:
    first = step.first_bad.commit[:12]
    if len(step.commits) == 1:
        return first
    return f"{step.last_good.commit[:12]}..{first} ({len(step.commits)})"


def _advice(found: "Gate") -> Iterator[str]:
    """What each step is about, and what can be done about regressions."""
    from mlffd.performance.history_gate import Standing
    from mlffd.performance.ratios import Quantity

    for step in _shown(found):
        if step.standing is Standing.ACCEPTED:
            yield f"{step.series.name}: accepted: {step.reason}"
        elif step.standing is Standing.REGRESSION and len(step.commits) == 1:
            yield f"{step.series.name}: {step.first_bad.commit[:12]} {step.first_bad.subject}"
        elif step.standing is Standing.REGRESSION and step.series.quantity is Quantity.TIME:
            ends = f"--good {step.last_good.commit[:12]} --bad {step.first_bad.commit[:12]}"
            yield f"to find the commit: mlffd perf bisect {ends} --benchmark {step.series.name}"
    if regressions := found.of(Standing.REGRESSION):
        commit, name = regressions[0].first_bad.commit[:12], regressions[0].series.name
        yield (
            "to accept one, in mlffd.toml under [performance.accepted]: "
            f'"{commit}" = {{ of = ["{name}"], reason = "why" }}'
        )


def _unjudged(found: "Gate") -> Iterator[str]:
    def title(series: "Series") -> str:
        return f"{series.machine}: {series.name}"

    yield from found.lost
    for series, count in found.missing:
        yield f"{title(series)}: inconclusive: {count} more commits are needed"
    for series, reason in found.left:
        yield f"{title(series)}: not judged: {reason}"
    if found.left_out:
        yield f"{found.left_out} stored files are of commits outside this history"


def _summary(found: "Gate") -> str:
    from mlffd.performance.history_gate import Standing

    counts = [f"{len(steps)} {standing}" for standing in Standing if (steps := found.of(standing))]
    return f"{len(found.judged)} series judged; steps: {', '.join(counts) or 'none'}"
