"""The command that compares two commits, and how its result looks.

Heavy imports (torch, ASE) are inside the command: help and bad usage answer at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlffd.errors import InputError
from mlffd.files import require_writable, write_text_atomically
from mlffd.report.commands import Json
from mlffd.report.console import output
from mlffd.report.markdown import code, plain_text, table
from mlffd.report.perf_gate import Markdown
from mlffd.report.text import printable

if TYPE_CHECKING:
    from mlffd.performance.ab import Comparison
    from mlffd.performance.paired_gate import Finding

_HEADINGS = ("workload", "head / base", "95% interval", "base / base", "visible", "verdict")


def ab(
    base: Annotated[str, typer.Option(help="The commit to compare with")],
    head: Annotated[str, typer.Option(help="The commit that is judged")] = "HEAD",
    *,
    repository: Annotated[Path, typer.Option(help="A folder in the repository")] = Path(),
    only: Annotated[
        list[str] | None, typer.Option(help="A tier or a workload (may be repeated)")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings with the rules [default: mlffd.toml of the head]")
    ] = None,
    base_exports: Annotated[
        Path | None, typer.Option(help="Files that mlffd export made of the base")
    ] = None,
    head_exports: Annotated[
        Path | None, typer.Option(help="And of the head, for workloads that run them")
    ] = None,
    accuracy: Annotated[bool, typer.Option(help="Compare accuracy, too")] = True,
    cache: Annotated[Path | None, typer.Option(help="Where built commits are kept")] = None,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """Is the head slower, or less accurate, than the base?

    Both commits are built and run in turns, in new processes again and again, beside a second
    process of the base that shows what the machine does to identical code. The workloads and their
    rules are those of the head's mlffd.toml.

    Exit code 0: neither; 1: slower or less accurate; 2: bad usage or input; 3: inconclusive or
    invalid; 4: a commit cannot be built; 5: nothing could be measured; 6: the device is missing.
    """
    from mlffd.config import load_settings
    from mlffd.performance.ab import compare_commits
    from mlffd.performance.revisions import build, resolve
    from mlffd.report.json_report import write_document

    for path, key in ((json, "--json"), (markdown, "--markdown")):
        if path is not None:
            require_writable(path, key)
    exports = (
        _folder(base_exports, "--base-exports"),
        _folder(head_exports, "--head-exports"),
    )
    names = [resolve(repository, revision) for revision in (base, head)]
    progress = Console(stderr=True).status("building")
    with progress:
        old, new = (build(repository, name, cache) for name in names)
        settings = load_settings(config or new.root / "mlffd.toml")
        launches = 0

        def show() -> None:
            nonlocal launches
            launches += 1
            progress.update(f"measuring, launch {launches}")

        found = compare_commits(
            old,
            new,
            settings,
            only=only or [],
            exports=exports,
            accuracy=accuracy,
            on_launch=show,
        )
    print_comparison(found, output())
    if json is not None:
        write_document(found.as_dict(), json)
    if markdown is not None:
        write_text_atomically(markdown, markdown_of(found))
    raise typer.Exit(found.exit_code)


def _folder(path: Path | None, key: str) -> Path | None:
    """Where it is for programs that run elsewhere."""
    if path is not None and not path.is_dir():
        raise InputError(f"{key}: {path}: no folder, expected one with exported files")
    return path and path.resolve()


def print_comparison(found: "Comparison", console: Console) -> None:
    """Print every workload and student, and the verdict."""
    from mlffd.report.terminal import STYLES

    title = f"{found.head[:12]} against {found.base[:12]}: seconds of the head for one of the base"
    console.print(Text(title, style="bold"))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(_HEADINGS):
        grid.add_column(heading, justify="right" if 0 < index < len(_HEADINGS) - 1 else "left")
    for finding in found.findings:
        *cells, verdict = cells_of(finding)
        grid.add_row(*cells, Text(verdict, style=STYLES[finding.verdict]))
    console.print(grid)
    for student in found.accuracy:
        text = Text(f"{printable(student.student)}: ", style=STYLES[student.verdict])
        console.print(text.append(printable(student.message), style="not bold"), soft_wrap=True)
    for line in remarks(found):
        console.print(Text(printable(line), "yellow"), soft_wrap=True)
    console.print(Text(f"\n{found.verdict}", style=STYLES[found.verdict]))


def markdown_of(found: "Comparison") -> str:
    """The same as a page, for a comment on a pull request."""
    headings = list(_HEADINGS)
    rows = []
    for finding in found.findings:
        name, *numbers, verdict = cells_of(finding)
        rows.append([code(name), *numbers, plain_text(verdict)])
    accuracy = [[code(s.student), str(s.verdict), plain_text(s.message)] for s in found.accuracy]
    parts = [
        f"### Speed: {found.verdict}",
        f"{code(found.head[:12])} against {code(found.base[:12])}. A ratio above 1 is slower; "
        "*visible* is the smallest slowdown that this run could have seen.",
        table(headings, rows),
    ]
    if accuracy:
        parts.append(table(["student", "accuracy", "why"], accuracy, numbers_from=3))
    parts += [f"- {plain_text(line)}" for line in remarks(found)]
    return "\n\n".join(parts) + "\n"


def cells_of(finding: "Finding") -> Sequence[str]:
    """Of a row, as in the headings."""
    verdict = str(finding.verdict) if finding.fails else f"{finding.verdict} (watched)"
    if finding.head is None or finding.again is None or finding.visible is None:
        return finding.workload, "", "", "", "", verdict
    low, high = finding.head.interval
    return (
        finding.workload,
        f"{finding.head.ratio:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{finding.again.ratio:.3f}",
        f"{finding.visible:.0%}",
        verdict,
    )


def remarks(found: "Comparison") -> list[str]:
    """Why what did not pass did not, and what was not compared."""
    from mlffd.verdicts import Verdict

    return [
        *(
            f"{finding.workload}: {finding.message}"
            for finding in found.findings
            if finding.verdict is not Verdict.PASS
        ),
        *(f"not compared: {name}: {reason}" for name, reason in found.omitted.items()),
    ]
