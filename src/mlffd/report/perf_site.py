"""The command that writes the site: speed and accuracy over commits, as pages."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlffd.report.commands import Config
from mlffd.report.console import status
from mlffd.report.perf_gate import RATIOS, Ratios
from mlffd.report.text import printable

if TYPE_CHECKING:
    from mlffd.performance.site.building import Built

_CONFIGURATION = "asv.conf.json"


def site(
    *,
    folder: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write; empty, or yet to be made")
    ],
    configuration: Annotated[
        Path | None,
        typer.Option("--asv", help=f"Of asv [default: {_CONFIGURATION} beside the settings]"),
    ] = None,
    ratios: Ratios = None,
    revision: Annotated[str, typer.Option(help="The newest commit to show")] = "HEAD",
    config: Config = None,
) -> None:
    """Write the history as a site: a dashboard, and asv's own pages beside it.

    It loads nothing from elsewhere and works from any path of any web server. The first time, npm
    fetches what the pages load. Needs the perf extra of mlffd, and npm.

    Exit code 0: it is there; 2: bad usage or input.
    """
    from mlffd.checks.run import load_settings_for
    from mlffd.files import require_new_folder
    from mlffd.performance.site.building import build_site
    from mlffd.report.perf_gate import rules_of

    require_new_folder(folder)
    with status("building the site") as shown:
        settings = load_settings_for(config, needed=False)
        root = settings.source.parent if settings.source else Path.cwd()
        built = build_site(
            folder,
            configuration=configuration or root / _CONFIGURATION,
            ratios=ratios or root / RATIOS,
            rules=rules_of(settings),
            revision=revision,
            before=lambda step: shown.update(printable(f"building the site: {step}")),
        )
    typer.echo(printable(f"{folder}: {describe(built)}"))


def describe(built: "Built") -> str:
    """What a site shows, in a line."""
    if not built.commits:
        shown = "nothing has been measured of this history; the page says so"
    else:
        shown = f"{_counted(built.commits, 'commit')} on {_counted(built.machines, 'machine')}"
    asv = "" if built.asv else "; asv has no results"
    left = f"; {_counted(built.left_out, 'stored result')} of other commits left out"
    return shown + asv + (left if built.left_out else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
