"""A metric against its golden: one of six statuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np

from mlffd.golden.bootstrap import ENOUGH, Change, relative_change, resampling_units
from mlffd.golden.metrics import METRICS
from mlffd.golden.records import Metric
from mlffd.golden.residuals import Residuals

#: A relative change that is none: the same weights differ by 1e-12 between machines.
ROUNDING = 1e-6


class Status(StrEnum):
    """How a value stands against its golden."""

    PASS = "pass"
    REGRESSED = "regressed"
    """Significantly worse: the whole interval is."""
    IMPROVED = "improved"
    """Significantly better."""
    UNDECIDED = "undecided"
    """Neither: the interval reaches beyond the tolerance, or rests on too few structures."""
    MISSING = "missing"
    """The golden has no such metric."""
    NON_FINITE = "non-finite"
    """A prediction is no number, or beyond what numbers can hold."""


@dataclass(frozen=True)
class Comparison:
    """One metric, then and now.

    Attributes:
        metric: its name.
        unit: of the values.
        golden: the accepted value; None if there is none.
        value: the value now.
        change: relative, positive for worse, with its interval; None if not comparable.
        status: what follows.
    """

    metric: str
    unit: str
    golden: float | None
    value: float
    change: Change | None
    status: Status

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "status": str(self.status),
            "value": self.value,
            "golden": self.golden,
            "unit": self.unit,
            "change": self.change._asdict() if self.change else None,
        }


def compare_metrics(
    accepted: Mapping[str, Metric],
    baseline: Residuals,
    candidate: Residuals,
    allowed: Mapping[str, float] = MappingProxyType({}),
) -> list[Comparison]:
    """Compare every metric that goldens hold a student to; all are better when lower.

    A metric that the labels say nothing of, such as directions where all forces are small, is
    left out.

    Args:
        accepted: the golden's metrics.
        baseline: errors of the golden's predictions.
        candidate: errors of the predictions now, of the same structures.
        allowed: relative changes for the worse that are no regression, by metric.
    """
    units = resampling_units(candidate)
    comparisons = []
    for definition in METRICS:
        terms = definition.terms(candidate)
        if not terms[:, 1].any():
            continue
        value = definition.value(terms)
        golden = accepted.get(definition.name)
        change = None
        if not np.isfinite(terms).all():
            status = Status.NON_FINITE
        elif golden is None:
            status = Status.MISSING
        else:
            before, after = units.sums(definition.terms(baseline)), units.sums(terms)
            change = relative_change(definition, before, after)
            status = _status(
                change,
                golden.tolerance,
                allowed.get(definition.name, 0.0),
                int(np.count_nonzero(after[:, 1])),
            )
        comparisons.append(
            Comparison(
                definition.name,
                definition.unit,
                golden.value if golden else None,
                value,
                change,
                status,
            )
        )
    return comparisons


def _status(change: Change, tolerance: float, allowed: float, units: int) -> Status:
    significant = units >= ENOUGH
    if change.low > max(ROUNDING, allowed):
        return Status.REGRESSED if significant else Status.UNDECIDED
    if change.high < -ROUNDING:
        return Status.IMPROVED if significant else Status.UNDECIDED
    return Status.PASS if change.high <= allowed + tolerance else Status.UNDECIDED
