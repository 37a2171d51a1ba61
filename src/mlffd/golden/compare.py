"""A metric against its golden: one of six statuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from mlffd.golden.bootstrap import Change, relative_change
from mlffd.golden.metrics import METRICS
from mlffd.golden.records import Metric
from mlffd.structures.structure import FloatArray

#: A relative change that is none: the same weights differ by 1e-12 between machines.
ROUNDING = 1e-6
#: Structures. A percentile interval over fewer is too narrow: of equal errors on 8 structures,
#: 5 of 18 were called regressed.
ENOUGH = 20


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


def compare_metrics(
    accepted: dict[str, Metric],
    baseline: dict[str, FloatArray],
    candidate: dict[str, FloatArray],
    allowed: Mapping[str, float] = MappingProxyType({}),
) -> list[Comparison]:
    """Compare every metric; all of today's are better when lower.

    Args:
        accepted: the golden's metrics.
        baseline: per-structure terms of the golden's predictions.
        candidate: per-structure terms of the predictions now, of the same structures.
        allowed: relative changes for the worse that are no regression, by metric.
    """
    comparisons = []
    for definition in METRICS:
        terms = candidate[definition.name]
        value = definition.value(terms)
        golden = accepted.get(definition.name)
        change = None
        if not np.isfinite(terms).all():
            status = Status.NON_FINITE
        elif golden is None:
            status = Status.MISSING
        else:
            change = relative_change(definition, baseline[definition.name], terms)
            status = _status(
                change, golden.tolerance, allowed.get(definition.name, 0.0), len(terms)
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


def _status(change: Change, tolerance: float, allowed: float, structures: int) -> Status:
    significant = structures >= ENOUGH
    if change.low > max(ROUNDING, allowed):
        return Status.REGRESSED if significant else Status.UNDECIDED
    if change.high < -ROUNDING:
        return Status.IMPROVED if significant else Status.UNDECIDED
    return Status.PASS if change.high <= allowed + tolerance else Status.UNDECIDED
