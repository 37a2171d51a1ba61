"""How much slower one of two programs is, from measurements that took turns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import NamedTuple

from scipy.stats import t as student_t

#: Of intervals.
CONFIDENCE = 0.95
#: With which the smallest visible slowdown would have been seen.
POWER = 0.95
_FEWEST = 2


class Round(NamedTuple):
    """What three processes took, one right after the other: seconds per call, each its best.

    The best of several calls is the least disturbed; what disturbs only ever adds.

    Attributes:
        base: of the base.
        head: of the head.
        again: of another process of the base.
        wall: how many times as long as the base the head took by the clock on the wall.
    """

    base: float
    head: float
    again: float
    wall: float = 1.0


#: All rounds of the same three processes.
Launch = Sequence[Round]


@dataclass(frozen=True)
class Estimate:
    """A ratio of times; greater than one is slower.

    Processes of the same program differ, by where memory happens to lie, more than rounds within
    a process do. So launches, not rounds, are the sample: each contributes the median of its
    rounds' log ratios, and the interval is Student's for their mean. With a handful of launches
    a bootstrap would be too narrow (Hesterberg, The American Statistician 69, 371 (2015), section
    4.1.3: by the root of ``(n - 1) / n``, and with normal instead of t quantiles).

    Attributes:
        log_ratio: mean over launches.
        error: its standard error.
        launches: how many.
    """

    log_ratio: float
    error: float
    launches: int

    @classmethod
    def of(cls, log_ratios: Sequence[float]) -> "Estimate":
        """From one log ratio for each launch.

        Raises:
            ValueError: there are fewer than two: they have no spread.
        """
        if len(log_ratios) < _FEWEST:
            raise ValueError(f"{len(log_ratios)} launches, expected {_FEWEST} or more")
        error = stdev(log_ratios) / math.sqrt(len(log_ratios))
        return cls(fmean(log_ratios), error, len(log_ratios))

    @property
    def ratio(self) -> float:
        """Seconds of the head for each second of the base."""
        return math.exp(self.log_ratio)

    @property
    def half_width(self) -> float:
        """Of the interval, in log ratios."""
        return float(student_t.ppf(0.5 + CONFIDENCE / 2, self.launches - 1)) * self.error

    @property
    def interval(self) -> tuple[float, float]:
        """Of the ratio."""
        width = self.half_width
        return math.exp(self.log_ratio - width), math.exp(self.log_ratio + width)

    def p_value(self, slowdown: float) -> float:
        """That the ratio is no more than ``1 + slowdown``, one-sided."""
        distance = self.log_ratio - math.log1p(slowdown)
        if self.error == 0:  # identical to the last digit: a clock that ticks coarsely, or a test
            return 0.0 if distance > 0 else 1.0
        return float(student_t.sf(distance / self.error, self.launches - 1))

    def visible(self, slowdown: float, certain: float) -> float:
        """The smallest slowdown that these launches would have shown, at `POWER`.

        It is a failure when the estimate is above ``slowdown`` and the interval above ``certain``,
        so the truth must be above both by what the estimate may be off.
        """
        needed = max(math.log1p(slowdown), math.log1p(certain) + self.half_width)
        off = float(student_t.ppf(POWER, self.launches - 1)) * self.error
        return math.expm1(needed + off)


def head_estimate(launches: Sequence[Launch]) -> Estimate:
    """How much slower the head is than the base."""
    return Estimate.of([median(math.log(r.head / r.base) for r in launch) for launch in launches])


def wall_estimate(launches: Sequence[Launch]) -> Estimate:
    """How much longer the head takes by the clock on the wall, waiting included."""
    return Estimate.of([median(math.log(r.wall) for r in launch) for launch in launches])


def again_estimate(launches: Sequence[Launch]) -> Estimate:
    """How much slower the base is than itself: anything but 1 is the machine's doing."""
    return Estimate.of([median(math.log(r.again / r.base) for r in launch) for launch in launches])


def holm(p_values: Sequence[float], level: float = (1 - CONFIDENCE) / 2) -> list[bool]:
    """Which hypotheses to reject, so that a false one is among them at most so often.

    Holm, Scandinavian Journal of Statistics 6, 65 (1979): the smallest of n is held against
    ``level / n``, the next against ``level / (n - 1)``, until one does not pass.
    """
    rejected = [False] * len(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for place, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - place):
            break
        rejected[index] = True
    return rejected
