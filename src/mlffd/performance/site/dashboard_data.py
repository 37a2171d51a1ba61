"""What the dashboard shows, gathered from what is stored: plain JSON types, in the page's order."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlffd.errors import NothingMeasuredError
from mlffd.performance.history_gate import Gate, Step, judge
from mlffd.performance.history_rules import Rules
from mlffd.performance.ratios import SHORT, History, Quantity, Series, ratios_path, read_ratios
from mlffd.performance.site.measurements import MeasuredError, Measurement

_BATCH = "batch"


@dataclass(frozen=True)
class Sources:
    """What is known of a history.

    Attributes:
        history: of ratios, see `mlffd.performance.ratios.read_series`.
        measurements: of asv.
        errors: of asv.
        machines: facts about each, by name.
        gate: see `judged`.
    """

    history: History
    measurements: Sequence[Measurement] = ()
    errors: Sequence[MeasuredError] = ()
    machines: dict[str, dict[str, str]] = field(default_factory=dict)
    gate: Gate | None = None


def judged(history: History, rules: Rules) -> Gate | None:
    """What the history gate says; None where nothing was timed lately."""
    if not history.series:
        return None
    try:
        return judge(history, rules)
    except NothingMeasuredError:
        return None


def machine_facts(folder: Path, history: History) -> dict[str, dict[str, str]]:
    """What the stored ratios say of each machine when it was last measured on."""
    last: dict[str, tuple[int, str]] = {}
    for series in history.series:
        point = series.points[-1]
        known = last.get(series.machine, (-1, ""))
        last[series.machine] = max(known, (point.position, point.commit))
    return {
        machine: dict(_flat(read_ratios(ratios_path(folder, machine, commit)).machine))
        for machine, (_, commit) in last.items()
    }


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", str(value)


def dashboard_data(sources: Sources, repository: Path) -> dict[str, Any]:
    """The document that the page reads; commits are indices into its list of them.

    Measurements of commits that the history does not have are left out, and counted.

    Args:
        sources: what to show.
        repository: a folder in the one with the commits.
    """
    history, gate = sources.history, sources.gate
    positions = {commit: position for position, commit in enumerate(history.commits)}
    measured = [m for m in sources.measurements if m.commit in positions]
    errors = [e for e in sources.errors if e.commit in positions]
    of_asv: list[Measurement | MeasuredError] = [*measured, *errors]
    used = {p.position for s in history.series for p in s.points}
    used |= {positions[found.commit] for found in of_asv}
    index = {history.commits[position]: i for i, position in enumerate(sorted(used))}
    references = {s.reference for s in history.series if s.reference is not None}
    of_others = {m.commit for m in sources.measurements} | {e.commit for e in sources.errors}
    of_others -= positions.keys()
    facts = sources.machines
    names = {s.machine for s in history.series} | {found.machine for found in of_asv} | facts.keys()
    return {
        "format_version": 1,
        "commits": _describe_commits(list(index), repository),
        "machines": [
            {"name": name, "facts": list(map(list, facts.get(name, {}).items()))}
            for name in sorted(names)
        ],
        "references": [
            {"commit": commit, "index": index.get(commit)} for commit in sorted(references)
        ],
        "ratios": [_ratios(s, index) for s in history.series if s.quantity is Quantity.TIME],
        "accuracy": _errors(history, errors, index),
        "seconds": _seconds(measured, index),
        "steps": [_step(step, index) for step in (gate.steps if gate else ())],
        "judged": sorted({series.machine for series in gate.judged} if gate else ()),
        "left_out": history.left_out + len(of_others),
    }


def _describe_commits(commits: Sequence[str], repository: Path) -> list[dict[str, str]]:
    if not commits:
        return []
    listed = subprocess.run(
        ["git", "log", "--no-walk=unsorted", "--stdin", "-z", "--format=%H%x1f%cs%x1f%s"],
        cwd=repository,
        input="".join(f"{commit}\n" for commit in commits),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
    ).stdout
    described = []
    for entry in listed.rstrip("\0").split("\0"):
        commit, date, subject = entry.split("\x1f", 2)
        described.append({"commit": commit, "date": date, "subject": subject})
    return described


def _ratios(series: Series, index: dict[str, int]) -> dict[str, Any]:
    points = []
    for point in series.points:
        assert point.interval is not None  # ratios have one
        points.append([index[point.commit], point.value, *point.interval])
    assert series.reference is not None
    return {
        "machine": series.machine,
        "name": series.name,
        **_workload(series.name),
        "reference": series.reference,
        "points": points,
    }


def _workload(name: str) -> dict[str, str]:
    """Of a name ``STUDENT/RUNTIME/PRECISION/DEVICE/SYSTEM``; a precision may hold no slash."""
    student, runtime, precision, device, system = (name.split("/") + [""] * 4)[:5]
    return {
        "student": student,
        "program": f"{runtime}/{precision}",
        "device": device,
        "system": system,
    }


def _errors(
    history: History, errors: Iterable[MeasuredError], index: dict[str, int]
) -> list[dict[str, Any]]:
    """Series of errors; what was stored with ratios goes before what asv has of the same commit."""
    found: dict[tuple[str, str, str], dict[int, float]] = {}
    for error in errors:
        key = (error.machine, error.student, error.quantity)
        found.setdefault(key, {})[index[error.commit]] = error.value
    for series in history.series:
        if series.quantity is Quantity.ACCURACY:
            student, _, quantity = series.name.rpartition(": ")
            points = found.setdefault((series.machine, student, quantity), {})
            points |= {index[point.commit]: point.value for point in series.points}
    return [
        {
            "machine": machine,
            "student": student,
            "quantity": quantity,
            "points": [[at, points[at]] for at in sorted(points)],
        }
        for (machine, student, quantity), points in sorted(found.items())
    ]


def _seconds(measured: Iterable[Measurement], index: dict[str, int]) -> list[dict[str, Any]]:
    series: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in sorted(measured, key=lambda m: index[m.commit]):
        key = (one.machine, one.student, one.program, one.device, one.system)
        names = ("machine", "student", "program", "device", "system")
        found = series.setdefault(
            key,
            {
                **dict(zip(names, key, strict=True)),
                "batch": _batch(one.system),
                "page": one.page,
                "points": [],
            },
        )
        found["points"].append([index[one.commit], one.seconds])
    return [series[key] for key in sorted(series)]


def _batch(system: str) -> int | None:
    """How many molecules a system is, if it is a batch of them."""
    count = system.removeprefix(_BATCH)
    return int(count) if system.startswith(_BATCH) and count.isdecimal() else None


def _step(step: Step, index: dict[str, int]) -> dict[str, Any]:
    document = step.as_dict()
    kept = ("machine", "quantity", "name", "standing", "before", "after", "change", "reason")
    return {
        **{key: document[key] for key in kept},
        "index": index[step.first_bad.commit],
        "last_good": step.last_good.commit[:SHORT],
        "first_bad": step.first_bad.commit[:SHORT],
        "candidates": len(step.commits),
    }
