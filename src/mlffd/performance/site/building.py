"""The whole site: asv's pages, the dashboard, and nothing that is loaded from elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlffd.environment import now
from mlffd.errors import InputError, NothingMeasuredError
from mlffd.files import write_folder_atomically
from mlffd.performance.history_rules import Rules
from mlffd.performance.ratios import History, read_series
from mlffd.performance.revisions import first_parents, resolve
from mlffd.performance.site.dashboard import write_dashboard
from mlffd.performance.site.dashboard_data import (
    Sources,
    dashboard_data,
    judged,
    machine_facts,
)
from mlffd.performance.site.measurements import read_errors, read_measurements
from mlffd.performance.site.packages import install
from mlffd.performance.site.publishing import (
    has_results,
    publish,
    read_configuration,
    read_machines,
)
from mlffd.performance.site.vendoring import require_self_contained, vendor

#: Of asv's pages, beside the dashboard.
ASV = "asv"


@dataclass(frozen=True)
class Built:
    """What a site shows.

    Attributes:
        commits: that anything is known of.
        machines: that it was measured on.
        asv: whether asv had results to publish.
        left_out: stored results of commits that are not in the history.
    """

    commits: int
    machines: int
    asv: bool
    left_out: int


def build_site(
    folder: Path,
    *,
    configuration: Path,
    ratios: Path,
    rules: Rules | None = None,
    revision: str = "HEAD",
    cache: Path | None = None,
    before: Callable[[str], None] = lambda step: None,
) -> Built:
    """Write the site, whole or not at all.

    Args:
        folder: to write; empty, or yet to be made.
        configuration: of asv; the repository is the one that it is in.
        ratios: folder of the stored ratios; it need not be there.
        rules: of the steps that are shown; None: the default ones.
        revision: the newest commit to show.
        cache: see `mlffd.performance.site.packages.install`.
        before: is called with what is done next.

    Raises:
        InputError: something that is stored is damaged, the folder holds something, or a page
            would load something from another server.
        MissingPackageError: asv, npm or apache-otava is not installed.
    """
    repository = configuration.absolute().parent
    told = read_configuration(configuration)
    before("fetching what pages load")
    packages = install(cache)
    before("reading the history")
    history = _history(ratios, repository, revision)
    measurements, errors, machines = [], [], machine_facts(ratios, history)
    published = has_results(told)
    if published:
        measurements, errors = read_measurements(told), read_errors(told)
        for name, facts in read_machines(told).items():
            machines[name] = {**facts, **machines.get(name, {})}
    gate = judged(history, rules or Rules())
    sources = Sources(history, measurements, errors, machines, gate)
    data = dashboard_data(sources, repository)
    data |= {
        "project": str(told.project),
        "commit_url": _commit_url(str(told.show_commit_url)),
        "asv": f"{ASV}/" if published else None,
        "written": now(),
    }

    def write(aside: Path) -> None:
        if published:
            publish(configuration, aside / ASV)
            vendor(aside / ASV, packages)
        write_dashboard(data, packages, aside)
        require_self_contained(aside)

    before("writing pages")
    write_folder_atomically(folder, write)
    return Built(len(data["commits"]), len(data["machines"]), published, data["left_out"])


def _history(ratios: Path, repository: Path, revision: str) -> History:
    try:
        return read_series(ratios, repository, revision)
    except NothingMeasuredError:
        # An empty page says so; asv may have results all the same.
        left_out = sum(1 for p in ratios.glob("*/*.json") if not p.name.startswith("."))
        return History(first_parents(repository, resolve(repository, revision)), (), left_out)


def _commit_url(url: str) -> str | None:
    """What a commit's name is appended to; asv's default leads nowhere.

    Raises:
        InputError: it is no address of a page.
    """
    if url == "#":
        return None
    if not url.startswith(("https://", "http://")):
        raise InputError(f"show_commit_url: {url!r}, expected https://...")
    return url
