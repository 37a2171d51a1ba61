"""Paired bootstrap over structures: is a metric worse than it was, or only differently unlucky?

Both sets of predictions are judged on the same structures, so structures are resampled in pairs;
what makes a structure hard cancels (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapters 8 and 13: paired data, percentile interval).
"""

from typing import NamedTuple

import numpy as np

from mlffd.golden.metrics import FloatArray, MetricDefinition

RESAMPLES = 4000
CONFIDENCE = 0.95
_SEED = 20240229


class Change(NamedTuple):
    """A relative change with its confidence interval; positive is larger, 0.1 is 10%."""

    estimate: float
    low: float
    high: float


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
    weights = generator.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES)
    changes = _values(metric, weights @ candidate) / _values(metric, weights @ baseline) - 1.0
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(changes, [tail, 100.0 - tail])
    estimate = metric.value(candidate) / metric.value(baseline) - 1.0
    return Change(estimate, float(low), float(high))


def _values(metric: MetricDefinition, sums: FloatArray) -> FloatArray:
    ratios: FloatArray = sums[:, 0] / sums[:, 1]
    return np.sqrt(ratios) if metric.root else ratios
