"""Where commands write to."""

import sys

from rich.console import Console
from rich.status import Status
from rich.text import Text

from mlffd.report.text import printable


def output() -> Console:
    """Tables keep their columns in a pipe, and in a narrow terminal, which wraps by itself."""
    terminal = Console(highlight=False)
    return Console(width=max(terminal.width, 120 if sys.stdout.isatty() else 140), highlight=False)


def status(what: str) -> Status:
    """A sign of life on standard error while something is computed."""
    return Console(stderr=True).status(Text(printable(what)))  # names may look like markup
