"""Bootstrap: how far a figure depends on which structures happen to be in the data set.

Conformers of one molecule err alike, so where there are molecules enough, whole molecules are
resampled, with all of their structures (Davison and Hinkley, Bootstrap Methods and their
Application, 1997, section 3.8: hierarchical data). Comparisons are paired: both sets of
predictions are judged on the same structures, so what makes a structure hard cancels (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13: paired data, percentile
interval).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlffd.golden.metrics import MetricDefinition
from mlffd.golden.residuals import IntArray, Residuals
from mlffd.structures.structure import FloatArray

RESAMPLES = 4000
CONFIDENCE = 0.95
_SEED = 20240229
_BLOCK = 250  # resamples at a time: all at once would take gigabytes for large data sets

#: Of structures or molecules. A percentile interval over fewer is too narrow: of equal errors on
#: 8 structures, 5 of 18 were called regressed.
ENOUGH = 20

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
        return f"{100 * self.low:+.3g}% to {100 * self.high:+.3g}%"


class Figure(NamedTuple):
    """A metric with its interval.

    Attributes:
        value: in the metric's unit.
        low: lower end of the 95% interval; None if there is too little to tell.
        high: upper end.
        structures: how many the figure rests on.
    """

    value: float
    low: float | None
    high: float | None
    structures: int


@dataclass(frozen=True, eq=False)
class Units:
    """What is resampled as a whole.

    Attributes:
        of: ``molecules``, or ``structures`` where there are fewer than `ENOUGH` molecules.
        index: of the unit that each structure belongs to, ``[M]``.
        count: U.
    """

    of: str
    index: IntArray
    count: int

    def sums(self, terms: FloatArray) -> FloatArray:
        """Terms of structures ``[M, K]`` summed by unit, ``[U, K]``."""
        if self.count == len(self.index):
            return terms
        sums = np.zeros((self.count, terms.shape[1]))
        np.add.at(sums, self.index, terms)
        return sums


def resampling_units(found: Residuals) -> Units:
    """Molecules if there are enough of them, and structures otherwise.

    Of few molecules nothing can be said about others; the interval is then one of further
    structures of these.
    """
    molecules = int(found.molecules.max()) + 1
    if ENOUGH <= molecules < len(found):
        return Units("molecules", found.molecules, molecules)
    return Units("structures", np.arange(len(found)), len(found))


def figures(
    metrics: Sequence[tuple[MetricDefinition, FloatArray]], units: Units
) -> list[Figure | None]:
    """Metrics with their 95% percentile intervals; deterministic.

    Args:
        metrics: each with its per-structure terms ``[M, 2]``.
        units: what to resample.

    Returns:
        None for a metric that nothing can be said of: its denominators are zero.
    """
    by_unit = [units.sums(terms) for _, terms in metrics]
    (resampled,) = _resampled_sums(np.concatenate(by_unit, axis=1))
    found: list[Figure | None] = []
    for column, ((metric, terms), rows) in enumerate(zip(metrics, by_unit, strict=True)):
        count = int(np.count_nonzero(terms[:, 1]))
        if not count:
            found.append(None)
            continue
        low = high = None
        if np.count_nonzero(rows[:, 1]) >= ENOUGH:
            low, high = _interval(metric.from_sums(resampled[:, 2 * column : 2 * column + 2]))
        found.append(Figure(metric.value(terms), low, high, count))
    return found


def relative_change(
    metric: MetricDefinition, baseline: FloatArray, candidate: FloatArray
) -> Change:
    """How much larger the candidate's metric is than the baseline's.

    Args:
        metric: of which the terms are.
        baseline: terms of each unit, ``[U, 2]``.
        candidate: of the same units, ``[U, 2]``.

    Returns:
        The change with its 95% percentile interval; deterministic.
    """
    before, after = _resampled_sums(baseline, candidate)
    low, high = _interval(_change(metric, before, after))
    estimate = _change(metric, baseline.sum(axis=0), candidate.sum(axis=0))
    return Change(float(estimate), low, high)


def _resampled_sums(*tables: FloatArray) -> list[FloatArray]:
    """Of tables ``[U, K]``, the sums over as many rows drawn with replacement, ``[RESAMPLES, K]``.

    The same rows are drawn from all tables.
    """
    count = len(tables[0])
    generator = np.random.default_rng(_SEED)
    blocks = []
    for _ in range(RESAMPLES // _BLOCK):
        weights = generator.multinomial(count, np.full(count, 1.0 / count), size=_BLOCK)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite stays so
            blocks.append([weights @ table for table in tables])
    return [np.concatenate(sums) for sums in zip(*blocks, strict=True)]


def _interval(values: FloatArray) -> tuple[float, float]:
    tail = 50.0 * (1.0 - CONFIDENCE)
    with np.errstate(invalid="ignore"):  # between infinite values
        low, high = np.percentile(values, [tail, 100.0 - tail])
    return float(low), float(high)


def _change(metric: MetricDefinition, baseline: FloatArray, candidate: FloatArray) -> FloatArray:
    """Relative changes ``[...]`` of the metric from sums of terms, ``[..., 2]``."""
    before, after = metric.from_sums(baseline), metric.from_sums(candidate)
    change: FloatArray = (after - before) / np.maximum(before, RESOLUTION)
    return change
