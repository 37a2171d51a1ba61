"""When is a commit too slow? Launch, decide, launch again where in doubt, and confirm."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlffd.performance.paired import (
    Estimate,
    Launch,
    again_estimate,
    head_estimate,
    holm,
    wall_estimate,
)
from mlffd.performance_settings import PerformanceSettings, TierSettings
from mlffd.verdicts import Verdict

#: Relative, by the clock on the wall: on a shared machine its noise is larger than slowdowns that
#: matter, so only what is certainly longer by more than this is told.
_WAITS = 0.25

#: Runs so many new launches of these workloads.
Launcher = Callable[[Sequence[str], int], Mapping[str, Sequence[Launch]]]


@dataclass(frozen=True)
class Finding:
    """What became of one workload.

    Attributes:
        workload: its name.
        tier: whose rules it is judged by.
        fails: whether a regression of it fails.
        verdict: of the head.
        message: why, in a sentence.
        head: the head against the base; None if it could not be measured.
        again: the base against itself.
        visible: the smallest slowdown that would have been seen, relative.
    """

    workload: str
    tier: str
    fails: bool
    verdict: Verdict
    message: str
    head: Estimate | None = None
    again: Estimate | None = None
    visible: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {
            "workload": self.workload,
            "tier": self.tier,
            "fails": self.fails,
            "verdict": str(self.verdict),
            "message": self.message,
            "visible": self.visible,
        }
        for name, estimate in (("head", self.head), ("again", self.again)):
            document[name] = estimate and {
                "ratio": estimate.ratio,
                "interval": list(estimate.interval),
                "launches": estimate.launches,
            }
        return document


@dataclass
class _State:
    """Of a workload while launches go on."""

    name: str
    tier: str
    rules: TierSettings
    launches: list[Launch]
    finding: Finding | None = None

    @property
    def head(self) -> Estimate:
        return head_estimate(self.launches)

    @property
    def again(self) -> Estimate:
        return again_estimate(self.launches)

    def is_slow(self) -> bool:
        return self.head.log_ratio > math.log1p(self.rules.slowdown)

    def is_clear(self) -> bool:
        """Whether nothing in the interval would be a failure."""
        return self.head.interval[1] < 1 + self.rules.slowdown

    def is_settled(self) -> bool:
        """Whether more launches would not change that it is no slower."""
        return self.is_clear() and self.is_visible()

    def has_drifted(self) -> bool:
        """Whether identical code differs by as much as would fail."""
        estimate = self.again
        return abs(estimate.log_ratio) > math.log1p(self.rules.slowdown) and (
            abs(estimate.log_ratio) - estimate.half_width > math.log1p(self.rules.certain)
        )

    def waits(self) -> bool:
        """Whether it takes longer, though the processor has no more to do."""
        return wall_estimate(self.launches).interval[0] > 1 + _WAITS

    def is_visible(self) -> bool:
        return self.head.visible(self.rules.slowdown, self.rules.certain) <= self.rules.visible

    def conclude(self, verdict: Verdict, message: str) -> None:
        self.finding = Finding(
            self.name,
            self.tier,
            self.rules.fails,
            verdict,
            message,
            self.head,
            self.again,
            self.head.visible(self.rules.slowdown, self.rules.certain),
        )


def gate(launcher: Launcher, settings: PerformanceSettings) -> list[Finding]:
    """Judge every workload of the tiers.

    What is clear after the first launches is done; what could still be either is launched again,
    up to a limit. What then looks like a regression must show it once more in new launches of its
    own, which nothing that picked it out has seen. Where the base differs from itself as much, the
    machine is at fault, not the head: invalid. What is no slower, but takes clearly longer by the
    clock on the wall, may wait for something that the processor's clock does not see: inconclusive.

    Args:
        launcher: measures.
        settings: tiers, and how many launches.
    """
    states = [
        _State(workload, name, rules, [])
        for name, rules in settings.tiers.items()
        for workload in rules.workloads
    ]
    _launch(launcher, states, settings.launches)
    suspects: list[_State] = []
    while waiting := [s for s in states if s.finding is None and s not in suspects]:
        doubtful = []
        for state, certain in zip(states, _certain(states), strict=True):
            if state not in waiting:
                continue
            if state.is_slow() and certain:
                suspects.append(state)
            elif len(state.launches) < settings.most_launches and not state.is_settled():
                doubtful.append(state)
            elif not state.is_slow() and state.is_visible():
                state.conclude(Verdict.PASS, "no slowdown that matters")
            else:
                state.conclude(Verdict.INCONCLUSIVE, _doubt(state))
        if doubtful:
            _launch(launcher, doubtful, settings.launches)
    if suspects:
        _confirm(launcher, suspects, settings)
    for state in states:
        if state.has_drifted():
            state.conclude(Verdict.INVALID, "the base differs from itself: a restless machine")
        elif state.finding is not None and state.finding.verdict is Verdict.PASS and state.waits():
            ratio = wall_estimate(state.launches).ratio
            message = f"no more work, but {ratio:.2f} times as long: does it wait for something?"
            state.conclude(Verdict.INCONCLUSIVE, message)
    return [state.finding for state in states if state.finding is not None]


def _certain(states: Sequence[_State]) -> list[bool]:
    """Whether each is slower than may be, all of them taken together."""
    return holm([state.head.p_value(state.rules.certain) for state in states])


def _confirm(launcher: Launcher, suspects: Sequence[_State], settings: PerformanceSettings) -> None:
    seen = [len(state.launches) for state in suspects]
    _launch(launcher, suspects, settings.launches)
    certain = _certain(suspects)
    for state, before, still in zip(suspects, seen, certain, strict=True):
        alone = head_estimate(state.launches[before:])
        if still and state.is_slow() and alone.log_ratio > math.log1p(state.rules.certain):
            state.conclude(Verdict.FAIL, "slower, and slower again when it was measured anew")
        elif state.is_visible() and not state.is_slow():
            state.conclude(Verdict.PASS, "looked slower, but not when it was measured anew")
        else:
            state.conclude(
                Verdict.INCONCLUSIVE, "looked slower, but not as clearly when measured anew"
            )


def _doubt(state: _State) -> str:
    return f"still unclear after {len(state.launches)} launches"


def _launch(launcher: Launcher, states: Sequence[_State], count: int) -> None:
    # Two tiers may judge one workload by different rules; it is measured once.
    found = launcher(list(dict.fromkeys(state.name for state in states)), count)
    for state in states:
        state.launches += found[state.name]
