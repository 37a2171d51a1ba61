"""What a history says nothing about, and what of that it should."""

from collections.abc import Sequence

from mlffd.performance.history_rules import Rules
from mlffd.performance.ratios import SHORT, History, Series


def left_alone(history: History, rules: Rules) -> list[tuple[Series, str]]:
    """The series that nothing is said about, and why."""
    found = []
    for series in history.series:
        reason = _idle(history, series.machine, rules) or _reason(series, history, rules)
        if reason:
            found.append((series, reason))
    return found


def lost(history: History, rules: Rules, left: Sequence[tuple[Series, str]]) -> list[str]:
    """What the rules expect to be measured and no longer is.

    Args:
        history: what there is.
        rules: what is expected.
        left: see `left_alone`.
    """
    found = []
    for machine in sorted(rules.machines):
        if reason := _idle(history, machine, rules):
            found.append(f"{machine}: expected to measure, but {reason}")
    for series, reason in left:
        has_ended = series.newest == _newest(history, series)
        is_expected = series.subject in rules.expected
        if has_ended and is_expected and not _idle(history, series.machine, rules):
            found.append(f"{series.machine}: {series.name}: expected, but {reason}")
    return found


def _idle(history: History, machine: str, rules: Rules) -> str:
    """Since when a machine has not measured; empty if it has lately."""
    measured = [series.newest for series in history.series if series.machine == machine]
    if not measured:
        return "it has measured nothing"
    behind = len(history.commits) - 1 - max(measured)
    return f"it last measured {behind} commits ago" if behind > rules.lag else ""


def _reason(series: Series, history: History, rules: Rules) -> str:
    beside = [s for s in history.series if s.machine == series.machine]
    measured = sorted({p.position for s in beside for p in s.points})
    newest = _newest(history, series)
    if newest < measured[-min(rules.fewest, len(measured))]:
        return f"not among the last {rules.fewest} commits measured on {series.machine}"
    if series.newest < newest and len(series.points) < rules.fewest:
        return f"too few commits against {str(series.reference)[:SHORT]}, before another reference"
    return ""


def _newest(history: History, series: Series) -> int:
    """Position of the last point of a series, against whichever reference."""
    key = series.machine, series.quantity, series.name
    return max(s.newest for s in history.series if (s.machine, s.quantity, s.name) == key)
