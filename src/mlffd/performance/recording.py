"""Measuring a commit for the history: its ratios to the reference, its counters and accuracy."""

import math
import platform
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from mlffd.config import Settings
from mlffd.errors import NothingMeasuredError
from mlffd.golden.metrics import BY_NAME
from mlffd.performance.ab import labelled_students, probe, selected
from mlffd.performance.accuracies import predict_in
from mlffd.performance.paired import head_estimate
from mlffd.performance.ratios import Accuracy, CommitRatios, Ratio
from mlffd.performance.revisions import Built
from mlffd.performance.taking_turns import Turns
from mlffd.performance.workers import WorkerError, workers

#: Of the stored accuracy, and of the metrics that it is.
_METRICS = {"force_rmse": "forces_rmse", "energy_rmse": "energy_rmse_per_atom"}


@dataclass(frozen=True)
class Recorded:
    """What was measured of a commit.

    Attributes:
        ratios: to store.
        omitted: what could not be measured, and why.
    """

    ratios: CommitRatios
    omitted: Mapping[str, str]


def record(
    repository: Path,
    reference: Built,
    commit: Built,
    settings: Settings,
    *,
    only: Collection[str] = (),
    on_launch: Callable[[], None] = lambda: None,
) -> Recorded:
    """Measure a commit against the reference, in turns, and what needs no reference.

    Every workload gets the same number of launches: nothing is decided here, and a history in
    which doubtful commits are measured more often than others would have two kinds of noise.

    Args:
        repository: a folder in it.
        reference: the pinned commit.
        commit: what is measured; the reference itself will do.
        settings: of the one who measures; old commits have none about speed.
        only: workloads or tiers; empty: those of the default.
        on_launch: called before each launch.

    Raises:
        InputError: no such workload or tier, or settings name none.
        MissingDeviceError: a workload's device is not here.
        NothingMeasuredError: no workload can be measured.
        WorkerError: a worker dies.
    """
    wanted = selected(settings.performance, only)
    turns = Turns(reference, commit, on_launch=on_launch)
    missing, broken, state = probe(turns, wanted)
    omitted = {**missing, **broken}
    names = [name for name in wanted.workloads if name not in omitted]
    if not names:
        reasons = "; ".join(omitted.values())
        raise NothingMeasuredError(f"no workload can be measured: {reasons}")
    benchmarks = {}
    for name, launches in turns(names, settings.performance.launches).items():
        estimate = head_estimate(launches)
        low, high = estimate.interval
        benchmarks[name] = Ratio(
            ratio=estimate.ratio, low=low, high=high, launches=estimate.launches
        )
    counters = _counters(commit, names, omitted)
    accuracy = _accuracy(commit, labelled_students(wanted, settings), omitted)
    date, subject = _described(repository, commit.commit)
    ratios = CommitRatios(
        commit=commit.commit,
        date=date,
        subject=subject,
        reference=reference.commit,
        machine=_machine(state),
        benchmarks=benchmarks,
        counters=counters,
        accuracy=accuracy,
    )
    return Recorded(ratios, omitted)


def _counters(
    commit: Built, names: Collection[str], omitted: dict[str, str]
) -> dict[str, dict[str, int]]:
    counters = {}
    with workers((commit, None)) as (worker,):
        for name in names:
            worker.ask("prepare", name=name)
            try:
                counters[name] = worker.ask("count", name=name)
            except WorkerError as error:
                omitted[f"{name}: counters"] = str(error)
    return counters


def _accuracy(
    commit: Built, students: Mapping[str, Path], omitted: dict[str, str]
) -> dict[str, Accuracy]:
    accuracy = {}
    for student, data in students.items():
        try:
            found = predict_in(student, data, commit)
        except WorkerError as error:
            omitted[f"{student}: accuracy"] = str(error)
            continue
        metrics = {key: BY_NAME[name] for key, name in _METRICS.items()}
        values = {key: metric.value(metric.terms(found)) for key, metric in metrics.items()}
        if all(map(math.isfinite, values.values())):
            accuracy[student] = Accuracy(**values)
        else:
            omitted[f"{student}: accuracy"] = "predictions are not finite"
    return accuracy


def _machine(state: Mapping[str, str]) -> dict[str, str]:
    """What was measured on and with: that of the revisions' own package is no part of it."""
    found = {key: value for key, value in state.items() if key != "mlffd"}
    return {**found, "python": platform.python_version(), "torch": version("torch")}


def _described(repository: Path, commit: str) -> tuple[datetime, str]:
    """When it was committed, and the first line of its message."""
    date, _, subject = subprocess.run(
        ["git", "show", "--no-patch", "--format=%cI%n%s", commit],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.partition("\n")
    return datetime.fromisoformat(date), subject.strip()
