"""The history gate: which commits made something slower, heavier or less accurate, and stayed so.

The paired gate sees what one commit does by itself; this one sees what is too small for it, and
what nobody looked at, once enough commits have been measured after it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from mlffd.errors import NothingMeasuredError
from mlffd.performance.change_points import change_points
from mlffd.performance.history_coverage import left_alone, lost
from mlffd.performance.history_rules import Rules
from mlffd.performance.ratios import History, Point, Quantity, Series
from mlffd.performance_settings import Acceptance
from mlffd.verdicts import EXIT_CODES, Verdict

#: Relative; errors of the same weights differ by less between machines and versions.
_ROUNDING = 1e-4


class Standing(StrEnum):
    """What a step means."""

    REGRESSION = "regression"
    ACCEPTED = "accepted"
    UNDONE = "undone"
    """The last level is as good as the one before the step."""
    SMALL = "small"
    """Less than what matters, in either direction."""
    IMPROVEMENT = "improvement"


@dataclass(frozen=True)
class Step:
    """A change from one level to another, and what it means.

    Attributes:
        series: in which it is.
        last_good: the last measured commit that is surely before it.
        first_bad: the first one that is surely after it.
        commits: full names of those between, the first bad one included: one of them did it.
        before: the level that it is held against: the best since the last step that mattered, so
            that small steps add up.
        after: the new level.
        p_value: of the two levels being one; None: values are exact.
        standing: what it means.
        reason: why it is accepted.
    """

    series: Series
    last_good: Point
    first_bad: Point
    commits: tuple[str, ...]
    before: float
    after: float
    p_value: float | None
    standing: Standing
    reason: str = ""

    @property
    def change(self) -> float:
        """Relative: 0.05 is worse by a twentieth; infinite where there was nothing before."""
        return self.after / self.before - 1 if self.before else math.inf

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "machine": self.series.machine,
            "quantity": str(self.series.quantity),
            "name": self.series.name,
            "reference": self.series.reference,
            "standing": str(self.standing),
            "last_good": self.last_good.commit,
            "first_bad": self.first_bad.commit,
            "commits": list(self.commits),
            "before": self.before,
            "after": self.after,
            "change": self.change if math.isfinite(self.change) else None,
            "p_value": self.p_value,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Gate:
    """What the history says.

    Attributes:
        rules: that were applied.
        steps: all of them, regressions first.
        judged: the series that were looked at.
        missing: series of ratios that are too short yet, and by how many commits.
        left: series that nothing is said about, and why.
        lost: what was to be measured and no longer is.
        left_out: see `History`.
    """

    rules: Rules
    steps: tuple[Step, ...]
    judged: tuple[Series, ...]
    missing: tuple[tuple[Series, int], ...]
    left: tuple[tuple[Series, str], ...]
    lost: tuple[str, ...]
    left_out: int

    def of(self, standing: Standing) -> list[Step]:
        """The steps with a meaning."""
        return [step for step in self.steps if step.standing is standing]

    @property
    def verdict(self) -> Verdict:
        """Fails for a regression; inconclusive while a series is too short, or if one is lost."""
        if self.of(Standing.REGRESSION):
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.missing or self.lost else Verdict.PASS

    @property
    def exit_code(self) -> int:
        """Of the command."""
        return EXIT_CODES[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "verdict": str(self.verdict),
            "exit_code": self.exit_code,
            "rules": self.rules.as_dict(),
            "judged": len(self.judged),
            "steps": [step.as_dict() for step in self.steps],
            "missing": [{**_key(series), "commits": count} for series, count in self.missing],
            "left": [{**_key(series), "reason": reason} for series, reason in self.left],
            "lost": list(self.lost),
            "left_out": self.left_out,
        }


def judge(history: History, rules: Rules) -> Gate:
    """Find the steps of every series, and say which are regressions.

    Ratios have noise: their steps are change points. Counters and errors are exact: every change
    is a step, and two commits are enough.

    Raises:
        MissingPackageError: apache-otava is not installed.
        NothingMeasuredError: no ratio has been measured lately.
    """
    left = left_alone(history, rules)
    alone = {series for series, _ in left}
    looked_at = [series for series in history.series if series not in alone]
    if not any(series.quantity is Quantity.TIME for series in looked_at):
        raise NothingMeasuredError(
            f"no benchmark has been timed in the last {rules.fewest} measured commits, or none of "
            f"the last {rules.lag} commits has been measured"
        )
    steps: list[Step] = []
    judged, missing = [], []
    for series in looked_at:
        if series.quantity is Quantity.TIME and len(series.points) < rules.fewest:
            missing.append((series, rules.fewest - len(series.points)))
        else:
            judged.append(series)
            steps.extend(_steps(series, history.commits, rules))
    order = list(Standing)
    steps.sort(key=lambda step: (order.index(step.standing), -step.change))
    unsaid = tuple(missing), tuple(left), tuple(lost(history, rules, left))
    return Gate(rules, tuple(steps), tuple(judged), *unsaid, history.left_out)


@dataclass(frozen=True)
class _Change:
    """Indices and levels of a step, as `ChangePoint` has them."""

    earliest: int
    latest: int
    before: float
    after: float
    p_value: float | None


def _changes(series: Series, rules: Rules) -> Iterator[_Change]:
    values = [point.value for point in series.points]
    if series.quantity is Quantity.TIME:
        for found in change_points(np.log(values).tolist(), max_p_value=rules.max_p_value):
            yield _Change(found.earliest, found.latest, found.before, found.after, found.p_value)
        return
    level = values[0]
    for index, value in enumerate(values):
        rounding = _ROUNDING if series.quantity is Quantity.ACCURACY else 0.0
        if not math.isclose(value, level, rel_tol=rounding):
            yield _Change(index, index, level, value, None)
            level = value


def _steps(series: Series, commits: Sequence[str], rules: Rules) -> Iterator[Step]:
    changes = list(_changes(series, rules))
    if not changes:
        return
    smallest = rules.smallest(series.quantity)
    best, last = changes[0].before, changes[-1].after
    for change in changes:
        last_good, first_bad = series.points[change.earliest - 1], series.points[change.latest]
        between = tuple(commits[last_good.position + 1 : first_bad.position + 1])
        before, reason = best, ""
        if change.after < change.before:
            before = change.before
            better = change.after <= before * (1 - smallest)
            standing = Standing.IMPROVEMENT if better else Standing.SMALL
            best = min(best, change.after)
        elif change.after <= best or change.after < best * (1 + smallest):
            standing = Standing.SMALL
        else:
            reason = _reason(series, between, rules.accepted)
            if reason:
                standing = Standing.ACCEPTED
            elif last <= best or last < best * (1 + smallest):
                standing = Standing.UNDONE
            else:
                standing = Standing.REGRESSION
            best = change.after
        yield Step(
            series,
            last_good,
            first_bad,
            between,
            before,
            change.after,
            change.p_value,
            standing,
            reason,
        )


def _reason(series: Series, commits: Sequence[str], accepted: Mapping[str, Acceptance]) -> str:
    """Why a step by one of some commits is meant; empty if it is not."""
    names = {str(series.quantity), series.name, series.subject}
    found = (
        acceptance.reason
        for key, acceptance in accepted.items()
        if names.intersection(acceptance.of) and any(c.startswith(key) for c in commits)
    )
    return next(found, "")


def _key(series: Series) -> dict[str, str | None]:
    return {
        "machine": series.machine,
        "quantity": str(series.quantity),
        "name": series.name,
        "reference": series.reference,
    }
