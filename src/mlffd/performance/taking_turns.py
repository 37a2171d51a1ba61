"""One launch: base, head and base again, each in a process of its own, measured in turns."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

from mlffd.performance.paired import Launch, Round
from mlffd.performance.revisions import Built
from mlffd.performance.workers import Worker, workers

#: Seconds of one block: the best of its calls is one that nothing disturbed.
BLOCK = 0.006
#: Seconds that the three spend on a workload in one launch. Processes of the same code differ by
#: about 0.02, rounds by about 0.15 on a busy machine: some fifty rounds make the two equal.
SPAN = 2.0
_FEWEST_ROUNDS, _MOST_ROUNDS = 12, 60
_MOST_CALLS = 50
#: Each process is first, second and last as often as any other, and never runs twice in a row:
#: what ran last has its data in the cache, and would look faster by a few percent.
ORDERS = ((0, 1, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0), (1, 2, 0), (1, 0, 2))
_WARM = 5
#: How many cores to look at, for how many seconds, and what share tells two apart.
_TRIED, _LOOK, _EQUAL = 4, 0.1, 0.15


class Turns:
    """Launches of two revisions.

    Args:
        base: what is compared with.
        head: what is judged.
        exports: folders of exported files of both.
        on_launch: called before each launch.
    """

    def __init__(
        self,
        base: Built,
        head: Built,
        *,
        exports: tuple[Path | None, Path | None] = (None, None),
        on_launch: Callable[[], None] = lambda: None,
    ) -> None:
        self.base, self.head, self.exports = base, head, exports
        self._on_launch = on_launch
        self._launches = 0

    def __call__(self, workloads: Sequence[str], count: int) -> dict[str, list[Launch]]:
        """Measure so many launches of the workloads.

        Raises:
            WorkerError: a worker fails.
        """
        found: dict[str, list[Launch]] = {name: [] for name in workloads}
        for _ in range(count):
            self._on_launch()
            with self.team() as team:
                for name in workloads:
                    found[name].append(measure(team, name))
        return found

    @contextmanager
    def team(self) -> Iterator[list[Worker]]:
        """Workers of base, head and base again, on one core: what disturbs it disturbs all."""
        old, new = (self.base, self.exports[0]), (self.head, self.exports[1])
        with workers(old, new, old, core=quietest_core(self._launches)) as team:
            self._launches += 1
            yield team


def quietest_core(turn: int) -> int | None:
    """The core that others leave alone most; None where nobody can choose.

    Args:
        turn: of equally quiet cores each is taken in its turn, so that none decides alone.
    """
    if not hasattr(os, "sched_setaffinity"):  # Linux has it
        return None
    allowed = os.sched_getaffinity(0)
    cores = sorted(allowed)
    tried = [cores[(turn + i) % len(cores)] for i in range(min(len(cores), _TRIED))]
    try:
        got = {core: _share(core) for core in tried}
    finally:
        os.sched_setaffinity(0, allowed)
    best_share = max(got.values())
    return next(core for core, share in got.items() if share > best_share - _EQUAL)


def _share(core: int) -> float:
    """How much of a core this process gets, 0 to 1."""
    os.sched_setaffinity(0, {core})
    started, began = time.perf_counter(), time.process_time()
    while time.perf_counter() - started < _LOOK:
        pass
    return (time.process_time() - began) / (time.perf_counter() - started)


def measure(team: Sequence[Worker], name: str) -> list[Round]:
    """All rounds of a workload, in the orders of `ORDERS`."""
    for worker in team:
        worker.send("prepare", name=name)
    for worker in team:
        worker.receive()
    calls, rounds = extent(team, name)
    found = []
    for order in islice(cycle(ORDERS), rounds):
        readings = {i: team[i].ask("measure", name=name, calls=calls) for i in order}
        base, head, again = (best(readings[i]) for i in range(len(team)))
        wall = min(readings[1]["wall"]) / min(readings[0]["wall"])
        found.append(Round(base, head, again, wall))
    return found


def extent(team: Sequence[Worker], name: str) -> tuple[int, int]:
    """Calls of a block and rounds of a launch, by a few calls that also warm up every worker."""
    seconds = max(best(worker.ask("measure", name=name, calls=_WARM)) for worker in team)
    calls = min(max(math.ceil(BLOCK / max(seconds, 1e-6)), 1), _MOST_CALLS)
    rounds = int(SPAN / (len(team) * calls * max(seconds, 1e-6)))
    return calls, min(max(rounds, _FEWEST_ROUNDS), _MOST_ROUNDS)


def best(reading: Mapping[str, Sequence[float]]) -> float:
    """The least of the seconds."""
    return min(reading["seconds"])
