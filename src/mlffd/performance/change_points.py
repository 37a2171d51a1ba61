"""Where a series of measurements changes its level."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlffd.errors import InputError, MissingPackageError

#: It pins an old NumPy and needs none of its other dependencies for this: with them it would
#: replace the NumPy that results are rounded by.
_INSTALL = "pip install --no-deps apache-otava==0.8.0"

#: Many splits are looked at, at every commit anew: ten times as much, and one history of 60 commits
#: in ten would have a step that is none. Measured by benchmarks/history_power.py.
MAX_P_VALUE = 1e-4

#: Values in which splits are looked for, first in the small windows. A step back hides a step from
#: those who see both: in a window of 50, a fifth less for ten commits is never found. What is then
#: between two steps is looked at in the large ones, which see smaller steps.
_WINDOWS = (20, 50)

#: One value by itself is an outlier, or not yet a new level: the next one tells.
_FEWEST = 2

#: Steps of logarithms that only rounding makes.
_ROUNDING = 1e-9

#: Probability that the interval of a change point holds it.
_CREDIBILITY = 0.95


@dataclass(frozen=True)
class ChangePoint:
    """A step from one level to another.

    Attributes:
        index: of the first value of the new level.
        earliest: the first index that is as possible, see `change_points`; at most ``index``.
        latest: the last one, at least ``index``.
        before: median ratio from the previous change point on.
        after: median ratio up to the next change point.
        p_value: of the two levels being one.
    """

    index: int
    earliest: int
    latest: int
    before: float
    after: float
    p_value: float

    @property
    def change(self) -> float:
        """Relative: 0.05 is a step up by a twentieth."""
        return self.after / self.before - 1


def change_points(
    values: Sequence[float], *, max_p_value: float = MAX_P_VALUE
) -> list[ChangePoint]:
    """Where a series of log ratios changes its level, by E-divisive.

    The series is split where the energy distance between the parts is largest, and the parts are
    split again, as long as a t-test tells them apart; then splits that are no longer significant
    beside their neighbours are taken back. All that is done in short windows first, and again in
    longer ones between the steps that were found. There is no random number in it: the same series
    gives the same answer. Nothing shorter than two values counts as a level.

    The step is somewhere between ``earliest`` and ``latest`` with a probability of 95%, for normal
    noise of one width and a step that may be anywhere alike: the small ones are hard to place.

    Sources: Matteson & James, J. Am. Stat. Assoc. 109, 334 (2014), arXiv:1306.4933, for the split;
    Fleming et al., ICPE 2023, doi:10.1145/3578244.3583719, for the test and the merging, both as
    apache-otava has them; Smith, Biometrika 62, 407 (1975), for where the step may be.

    Args:
        values: natural logarithms of ratios, in order.
        max_p_value: between 0 and 1; smaller finds less, and less that is not there.

    Raises:
        InputError: a value is not finite.
        MissingPackageError: apache-otava is not installed.
    """
    series = np.asarray(values, dtype=np.float64)
    if not np.isfinite(series).all():
        raise InputError("change points: expected finite log ratios")
    p_values = _splits(series, max_p_value)
    bounds = _without_slivers(series, [0, *sorted(p_values), len(series)])
    points = []
    for start, index, stop in zip(bounds, bounds[1:], bounds[2:], strict=False):
        earliest, latest = _interval(series[start:stop], index - start)
        before, after = np.median(series[start:index]), np.median(series[index:stop])
        points.append(
            ChangePoint(
                index,
                start + earliest,
                start + latest,
                float(np.exp(before)),
                float(np.exp(after)),
                p_values[index],
            )
        )
    return points


def _splits(series: NDArray[np.float64], max_p_value: float) -> dict[int, float]:
    """The p-value of each split, by the index of the first value behind it."""
    library = _library()
    p_values: dict[int, float] = {}
    for window in _WINDOWS:
        for start, stop in pairwise([0, *sorted(p_values), len(series)]):
            # A list: it does not cut its windows out of an array.
            found, _ = library.compute_change_points(
                series[start:stop].tolist(), window_len=window, max_pvalue=max_p_value
            )
            p_values |= {start + int(point.index): float(point.stats.pvalue) for point in found}
    return p_values


def _library() -> Any:  # noqa: ANN401 - a module without types
    try:
        return importlib.import_module("otava.analysis")
    except ImportError as error:
        raise MissingPackageError(
            f"apache-otava is not installed: this needs {_INSTALL}"
        ) from error


def _without_slivers(series: NDArray[np.float64], bounds: list[int]) -> list[int]:
    """Bounds of levels, without those that are too short or differ by rounding only."""
    while len(bounds) > 2:
        medians = [np.median(series[a:b]) for a, b in pairwise(bounds)]
        steps = {bounds[i + 1]: abs(b - a) for i, (a, b) in enumerate(pairwise(medians))}
        short = {
            bound
            for a, b in pairwise(bounds)
            if b - a < _FEWEST
            for bound in (a, b)
            if bound in steps
        }
        short |= {bound for bound, step in steps.items() if step < _ROUNDING}
        if not short:
            break
        # The smaller step goes: what is left belongs to the level that is nearer.
        bounds = [bound for bound in bounds if bound != min(short, key=lambda b: (steps[b], b))]
    return bounds


def _interval(series: NDArray[np.float64], index: int) -> tuple[int, int]:
    """Between which indices the one step of a series is, the one that was found included.

    The posterior of the first index of the new level, for normal noise of unknown width and
    unknown levels; the interval leaves out as much on either side.
    """
    count = len(series)
    splits = np.arange(1, count)
    sums, squares = np.cumsum(series)[:-1], float((series**2).sum())
    left = sums**2 / splits
    right = (series.sum() - sums) ** 2 / (count - splits)
    # Less than the smallest width that doubles can tell would be rounding.
    floor = count * (_ROUNDING * (1 + np.abs(series).max())) ** 2
    residual = np.maximum(squares - left - right, floor)
    logs = -0.5 * (count - 2) * np.log(residual) - 0.5 * np.log(splits * (count - splits))
    weights = np.exp(logs - logs.max())
    below = np.cumsum(weights) / weights.sum()
    tail = (1 - _CREDIBILITY) / 2
    earliest = 1 + int(np.searchsorted(below, tail))
    latest = min(1 + int(np.searchsorted(below, 1 - tail)), count - 1)
    return min(earliest, index), max(latest, index)
