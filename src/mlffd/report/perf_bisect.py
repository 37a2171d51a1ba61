"""The command that finds the commit that made a benchmark slower."""

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
from mlffd.report.perf_gate import Markdown
from mlffd.report.text import printable

if TYPE_CHECKING:
    from mlffd.performance.bisect import Bisection
    from mlffd.performance.bisect_step import Trial

_HEADINGS = ("commit", "against the good one", "ratio [95%]", "")


def bisect(
    *,
    good: Annotated[str, typer.Option(help="A commit that is not slow")],
    bad: Annotated[str, typer.Option(help="A later one that is")] = "HEAD",
    benchmark: Annotated[str, typer.Option(help="STUDENT/RUNTIME/PRECISION/DEVICE/SYSTEM")],
    config: Config = None,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """Find the commit that made a benchmark slower: git bisect, with mlffd perf ab as the judge.

    All commits are judged by the same settings, and the working tree is left alone. Each commit
    takes as long as mlffd perf ab does, and about as many are tried as the number of commits can be
    halved.

    Exit code 0: the bad commit is not slower; 1: found; 2: bad usage or input; 3: only a range can
    be named, or it is unclear whether there is anything to find; 4: a build failed; 5: nothing was
    measured; 6: the device is not there.
    """
    from mlffd.checks.run import load_settings_for
    from mlffd.performance.bisect import COMPARE
    from mlffd.performance.bisect import bisect as find
    from mlffd.report.json_report import write_document

    for path, key in ((json, "--json"), (markdown, "--markdown")):
        if path is not None:
            require_writable(path, key)
    settings = load_settings_for(config, needed=True)
    rules = (*COMPARE, "--config", str(settings.source))
    with status(f"bisecting {good}..{bad}"):
        found = find(Path.cwd(), good, bad, benchmark, compare=rules)
    print_bisection(found, output())
    if json is not None:
        write_document(found.as_dict(), json)
    if markdown is not None:
        write_text_atomically(markdown, bisection_markdown(found))
    raise typer.Exit(found.exit_code)


def print_bisection(found: "Bisection", console: Console) -> None:
    """Print what was tried, and which commit did it or may have done it."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        grid.add_column(heading, no_wrap=True)
    for trial in found.trials:
        grid.add_row(*(Text(printable(cell)) for cell in _cells(trial)))
    console.print(grid)
    style = {0: "green", 1: "bold red", 3: "yellow"}[found.exit_code]
    console.print(Text(printable(_conclusion(found)), style), soft_wrap=True)
    for line in _suspects(found):
        console.print(Text(printable(f"  {line}")), soft_wrap=True)


def bisection_markdown(found: "Bisection") -> str:
    """The same for a comment or a job's summary."""
    rows = [
        [code(cell) if index == 0 else plain_text(cell) for index, cell in enumerate(_cells(trial))]
        for trial in found.trials
    ]
    parts = [plain_text(_conclusion(found))]
    if suspects := _suspects(found):
        parts.append("\n".join(f"- {plain_text(line)}" for line in suspects))
    parts.append(table([h or "why" for h in _HEADINGS], rows, numbers_from=len(_HEADINGS)))
    return "\n\n".join(parts) + "\n"


def _cells(trial: "Trial") -> list[str]:
    verdict = {0: "as fast", 1: "slower"}.get(trial.exit_code, "not judged")
    ratio = "" if trial.ratio is None else f"{trial.ratio:.3f}"
    if trial.interval is not None:
        low, high = trial.interval
        ratio += f" [{low:.3f}, {high:.3f}]"
    return [trial.commit[:12], verdict, ratio, trial.message]


def _conclusion(found: "Bisection") -> str:
    good, bad = found.good[:12], found.bad.commit[:12]
    if (guilty := found.guilty) is not None:
        ratio = "" if guilty.ratio is None else f" by {100 * (guilty.ratio - 1):.1f}%"
        return f"{guilty.commit[:12]} made {found.benchmark} slower{ratio} than {good}:"
    if found.suspects:
        return f"one of {len(found.suspects)} commits made {found.benchmark} slower than {good}:"
    if found.exit_code == 0:
        return f"{bad} is not slower than {good}: nothing to find"
    return f"unclear whether {bad} is slower than {good}: {found.bad.message}"


def _suspects(found: "Bisection") -> list[str]:
    pairs = zip(found.suspects, found.subjects, strict=True)
    return [f"{commit[:12]} {subject}" for commit, subject in pairs]
