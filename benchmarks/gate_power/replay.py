"""Launches that were collected, given to the gate as if they were made for it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mlffd.performance.paired import Launch, Round
from mlffd.performance.paired_gate import Finding, gate
from mlffd.performance_settings import PerformanceSettings, TierSettings

WORKLOADS = (
    "ultra_tiny/eager/fp32/cpu/batch1",
    "ultra_tiny/eager/fp32/cpu/batch4",
    "ultra_tiny/eager/fp32/cpu/batch8",
    "tiny/eager/fp32/cpu/batch1",
    "tiny/eager/fp32/cpu/batch4",
)
SLOWDOWNS = (0.0, 0.03, 0.05, 0.10, 0.20)

SETTINGS = PerformanceSettings(tiers={"gate": TierSettings(workloads=WORKLOADS)})

#: A job: its launches, in order.
Job = Sequence[Mapping[str, Any]]


class Replay:
    """Gives out the launches of a job in order, one workload's head slower than the others'.

    Args:
        job: its launches.
        slow: the workload that is slower.
        level: index of its slowdown.
    """

    def __init__(self, job: Job, slow: str, level: int) -> None:
        self._job, self._slow, self._level = job, slow, level
        self._used: Counter[str] = Counter()

    def __call__(self, workloads: Sequence[str], count: int) -> dict[str, list[Launch]]:
        """As `mlffd.performance.paired_gate.Launcher`."""
        return {name: [self._next(name) for _ in range(count)] for name in workloads}

    def _next(self, name: str) -> Launch:
        found = self._job[self._used[name]]["workloads"][name]
        self._used[name] += 1
        level = self._level if name == self._slow else 0
        return [Round(1.0, math.exp(found["head"][level]), math.exp(found["again"]))]


def is_settled(job: Job) -> bool:
    """Whether the launches of a job are enough for the gate to judge every trial of it."""
    try:
        for level in range(len(SLOWDOWNS)):
            findings([job], level)
    except IndexError:  # the gate asked for one more
        return False
    return True


def findings(jobs: Sequence[Job], level: int) -> list[Finding]:
    """What the gate finds of the slow workload, trial by trial."""
    found = []
    for job in jobs:
        for name in WORKLOADS:
            judged = gate(Replay(job, name, level), SETTINGS)
            found.append(next(finding for finding in judged if finding.workload == name))
    return found
