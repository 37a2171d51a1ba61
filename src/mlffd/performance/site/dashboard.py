"""Our own page: the history at a glance, with asv's pages one click away."""

import json
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from mlffd.performance.site.vendoring import copy_packages

#: What the page loads of packages.
_LIBRARY = ("uplot/dist/uPlot.iife.min.js", "uplot/dist/uPlot.min.css")

_INDEX = "index.html"
_DATA = "<!-- data -->"


def write_dashboard(data: dict[str, Any], packages: Path, folder: Path) -> None:
    """Write the page and what it loads.

    Args:
        data: see `mlffd.performance.site.dashboard_data`.
        packages: see `mlffd.performance.site.packages`.
        folder: that holds the site.
    """
    page: Traversable = resources.files(__package__).joinpath("page")
    for file in page.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    block = f'<script type="application/json" id="data">{_json(data)}</script>'
    text = page.joinpath(_INDEX).read_text(encoding="utf-8")
    (folder / _INDEX).write_text(text.replace(_DATA, block, 1), encoding="utf-8")
    copy_packages(_LIBRARY, packages, folder)


def _json(data: dict[str, Any]) -> str:
    """JSON that cannot end the block that it stands in: subjects of commits are anybody's text."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
