"""Commands about speed: ``mlffd perf ...``."""

import typer

from mlffd.report.perf_ab import ab
from mlffd.report.perf_bisect import bisect
from mlffd.report.perf_gate import gate
from mlffd.report.perf_history import history
from mlffd.report.perf_site import site

perf_app = typer.Typer(
    help="Compare the speed of commits, keep its history, and find what broke it.",
    no_args_is_help=True,
)
perf_app.command()(ab)
perf_app.command()(history)
perf_app.command()(gate)
perf_app.command()(bisect)
perf_app.command()(site)
