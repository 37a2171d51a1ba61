"""What the history gate calls a regression, and what it wants to see measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlffd.performance.change_points import MAX_P_VALUE
from mlffd.performance.ratios import Quantity
from mlffd.performance_settings import Acceptance


@dataclass(frozen=True)
class Rules:
    """What counts as a regression.

    Attributes:
        step: relative; the smallest step of a ratio that is one.
        accuracy_step: relative; the smallest step of an error that is one.
        fewest: commits without which nothing is said about a ratio.
        max_p_value: see `change_points`.
        accepted: steps that are meant, by the first digits of the commit.
        expected: workloads and students that are still to be measured: that a series of theirs has
            ended decides nothing, but is no pass.
        machines: that are still to measure, likewise.
        lag: commits behind the newest one of the history; a machine that has measured none of them
            is one of the past.
    """

    step: float = 0.04
    accuracy_step: float = 0.01
    fewest: int = 8
    max_p_value: float = MAX_P_VALUE
    accepted: Mapping[str, Acceptance] = field(default_factory=dict)
    expected: frozenset[str] = frozenset()
    machines: frozenset[str] = frozenset()
    lag: int = 30

    def smallest(self, quantity: Quantity) -> float:
        """The smallest relative step that matters; a counter that grows at all does."""
        steps = {Quantity.TIME: self.step, Quantity.ACCURACY: self.accuracy_step}
        return steps.get(quantity, 0.0)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "step": self.step,
            "accuracy_step": self.accuracy_step,
            "fewest": self.fewest,
            "max_p_value": self.max_p_value,
            "accepted": {key: one.model_dump(mode="json") for key, one in self.accepted.items()},
            "expected": sorted(self.expected),
            "machines": sorted(self.machines),
            "lag": self.lag,
        }
