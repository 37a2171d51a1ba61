"""Paired bootstrap over structures: is a metric worse than it was, or only differently unlucky?

Both sets of predictions are judged on the same structures, so structures are resampled in pairs;
what makes a structure hard cancels (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapters 8 and 13: paired data, percentile interval).
"""

from typing import NamedTuple

import numpy as np

from mlffd.golden.metrics import MetricDefinition
from mlffd.structures.structure import FloatArray

RESAMPLES = 4000
CONFIDENCE = 0.95
_SEED = 20240229
_BLOCK = 250  # resamples at a time: all at once would take gigabytes for large data sets

#: In the metrics' units, eV/atom and eV/Å: no label is known as well. A smaller baseline counts as
#: this much, so that a student that is exactly right has a scale to be worse on.
RESOLUTION = 1e-6


class Change(NamedTuple):
    """A change relative to the baseline, with its interval; positive is larger, 0.1 is 10%."""

    estimate: float
    low: float
    high: float

    @property
    def in_percent(self) -> str:
        """The interval, for a person."""
        return f"{100 * self.low:+.2g}% to {100 * self.high:+.2g}%"


def relative_change(
    metric: MetricDefinition, baseline: FloatArray, candidate: FloatArray
) -> Change:
    """How much larger the candidate's metric is than the baseline's.

    Args:
        metric: of which the terms are.
        baseline: per-structure terms, ``[M, 2]``.
        candidate: of the same structures, ``[M, 2]``.

    Returns:
        The change with its 95% percentile interval; deterministic.
    """
    count = len(baseline)
    generator = np.random.default_rng(_SEED)
    changes = []
    for _ in range(RESAMPLES // _BLOCK):
        weights = generator.multinomial(count, np.full(count, 1.0 / count), size=_BLOCK)
        changes.append(_change(metric, weights @ baseline, weights @ candidate))
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(np.concatenate(changes), [tail, 100.0 - tail])
    estimate = _change(metric, baseline.sum(axis=0), candidate.sum(axis=0))
    return Change(float(estimate), float(low), float(high))


def _change(metric: MetricDefinition, baseline: FloatArray, candidate: FloatArray) -> FloatArray:
    """Relative changes ``[...]`` of the metric from sums of terms, ``[..., 2]``."""
    before, after = metric.from_sums(baseline), metric.from_sums(candidate)
    change: FloatArray = (after - before) / np.maximum(before, RESOLUTION)
    return change
