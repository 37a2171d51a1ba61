"""The kill matrix as a page with a figure."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap

from mlffd.faults.catalogue import CONCERNS, Fault
from mlffd.faults.matrix import Matrix
from mlffd.faults.trying import Result
from mlffd.files import write_atomically, write_text_atomically
from mlffd.report.faults import said, summary
from mlffd.report.markdown import code, plain_text, table

#: Of a cell: not asked, nothing, noticed as well, must notice and does, must notice and does not.
_NOT_ASKED, _NOTHING, _NOTICED, _CAUGHT, _ESCAPED = range(5)
_COLOURS = ("#ffffff", "#ececec", "#9ecae1", "#08519c", "#d62728")


def write_page(found: Matrix, path: Path) -> None:
    """Write the page, and its figure beside it.

    Raises:
        InputError: the files cannot be written.
    """
    write_figure(found, path.with_suffix(".svg"))
    write_text_atomically(path, page(found, path.with_suffix(".svg").name))


def page(found: Matrix, figure: str) -> str:
    """The page.

    Args:
        found: what it says.
        figure: name of its figure.
    """
    pairs = list(zip(found.faults, found.results, strict=True))
    sections = [
        f"## {concern}\n\n{_section([pair for pair in pairs if pair[0].concern == concern])}"
        for concern in CONCERNS
        if any(fault.concern == concern for fault in found.faults)
    ]
    alarms = "\n".join(f"- {plain_text(alarm)}" for alarm in found.alarms)
    return f"""# Does the gate bite?

A check that was never seen to fail proves nothing. So {len(found.faults)} regressions are planted
one by one in the student {code(found.student)}, its golden, its data and its exports, each in
several sizes; and every check of what a fault was planted in is asked, but two that take long:
`nve_conservation` and `counters` are asked of faults that name them, and in every tenth clean run.
The smallest size that a check fails at, with all larger ones, is its detection limit.

**{plain_text(summary(found))}.** In clean runs nothing is planted: probe molecules are rattled to
other places, with other numbers of threads, sizes of batches, default dtypes, orders of checks and
formats of exports.

![Faults against checks]({figure})

Dark blue: the check must fail, and does. Light blue: it fails, too. Red: it must, and does not.
Grey: it passes. White: it was not asked. What cannot be compared any more is invalid, which ends
with exit code 3: not green either. The last two columns say from which size on a fault has to be
caught, and from which on each check fails, "≤" where that is the least that was tried; where a
fault is there or not, only which checks fail.

Made by `mlffd faults --timed --clean {len(found.clean)} --page docs/explanation/kill-matrix.md`.
`throughput` is the paired gate of `mlffd perf ab`, with real processes.

{chr(10).join(sections)}
## What no check sees

A golden that was recorded anew from a student that is worse but still physical. Every check then
compares with what was accepted; `mlffd accuracy` and `matches_golden` are green again. The record's
diff shows each error before and after, and the reason that was given: reviewing it is the check.

Faults of code are planted in `StudentForceField` and in what surrounds it. A student of another
architecture is checked alike, but how well its own code is covered, only faults of its own can say.

{f"## False alarms{chr(10)}{chr(10)}{alarms}{chr(10)}" if alarms else ""}{_headroom(found)}"""


def _headroom(found: Matrix) -> str:
    """How far clean runs stay from the limits."""
    rows = [
        [
            code(reading.name),
            f"{reading.measured:.2g}",
            f"{reading.limit:.2g}",
            reading.unit,
            f"{reading.limit / reading.measured:.2g}" if reading.measured > 0 else "",
        ]
        for reading in found.headroom
        if reading.limit > 0
    ]
    if not rows:
        return ""
    headings = ["criterion", "worst of clean runs", "limit", "unit", "times"]
    return f"""
## How far the healthy student stays from the limits

Of every criterion, the worst of all clean runs, on one machine. Exports of different precision have
different limits, and so several rows. The best `typical_size` is 1.

{table(headings, rows)}
"""


def _section(pairs: list[tuple[Fault, Result]]) -> str:
    rows = [
        [
            code(fault.name),
            plain_text(fault.summary) + (f" ({code(fault.seen_in)})" if fault.seen_in else ""),
            f"{fault.limit:g} {fault.unit}" if len(fault.sizes) > 1 else "",
            "<br>".join(map(plain_text, said(fault, result))) or "not tried",
        ]
        for fault, result in pairs
    ]
    headings = ["fault", "what is wrong", "caught from", "fails, from size"]
    return table(headings, rows, numbers_from=4) + "\n"


def write_figure(found: Matrix, path: Path) -> None:
    """Draw faults against checks."""
    checks = _columns(found)
    cells = [
        [_cell(fault, result, check) for check in checks]
        for fault, result in zip(found.faults, found.results, strict=True)
    ]
    size = 2.6 + 0.19 * len(checks), 1.6 + 0.145 * len(cells)
    mpl.use("Agg")
    # With a fixed salt the same figure is the same file. Text as text, and cells as an image: as
    # paths, thousands of letters and cells are a megabyte.
    with mpl.rc_context({"svg.hashsalt": "mlffd", "svg.fonttype": "none", "font.size": 6}):
        drawing = plt.figure(figsize=size)
        axes = drawing.add_subplot()
        palette = ListedColormap(_COLOURS)
        axes.pcolormesh(
            cells,
            cmap=palette,
            vmin=0,
            vmax=len(_COLOURS) - 1,
            edgecolors="white",
            linewidth=0.6,
            rasterized=True,
        )
        axes.invert_yaxis()
        axes.xaxis.tick_top()
        axes.set_xticks([i + 0.5 for i in range(len(checks))], checks, rotation=90)
        axes.set_yticks([i + 0.5 for i in range(len(cells))], [f.name for f in found.faults])
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        write_atomically(
            path,
            lambda aside: drawing.savefig(
                aside, format="svg", dpi=300, metadata={"Date": None}, bbox_inches="tight"
            ),
        )
        plt.close(drawing)


def _columns(found: Matrix) -> list[str]:
    """Every check that was asked of a fault, in the order of reports."""
    asked = [check for r in found.results for t in r.trials[:1] for check in t.verdicts]
    required = [check for f in found.faults for check in (*f.caught_by, *f.refused_by)]
    return list(dict.fromkeys([*asked, *required]))


def _cell(fault: Fault, result: Result, check: str) -> int:
    if any(escape.startswith(f"{check}:") for escape in result.escapes(fault)):
        return _ESCAPED
    if result.impossible:
        return _NOT_ASKED
    if check in (*fault.caught_by, *fault.refused_by):
        return _CAUGHT
    if check not in result.trials[0].verdicts:
        return _NOT_ASKED
    return _NOTICED if check in result.checks else _NOTHING
