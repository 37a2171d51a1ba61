"""One launch: three workers in turns, and what is kept of their clocks."""

from collections import Counter
from itertools import pairwise

from mlffd.performance.taking_turns import measure

SECONDS, WALL = (0.010, 0.012, 0.010), (0.011, 0.033, 0.011)


class Worker:
    """Takes as long as is said; each call but the best is disturbed."""

    def __init__(self, index, order):
        self.index, self.order = index, order

    def send(self, command, name):
        pass

    def receive(self):
        pass

    def ask(self, command, name, calls):  # noqa: ARG002
        self.order.append((self.index, calls))
        longer = [1.0, *[1.5] * (calls - 1)]
        return {
            "seconds": [SECONDS[self.index] * factor for factor in longer],
            "wall": [WALL[self.index] * factor for factor in longer],
        }


def test_the_best_of_each_block_is_kept_by_both_clocks_and_nobody_runs_twice_in_a_row():
    order = []
    rounds = measure([Worker(index, order) for index in range(3)], "small")

    assert {tuple(found[:3]) for found in rounds} == {SECONDS}
    assert {round(found.wall, 9) for found in rounds} == {3.0}
    turns = [index for index, _ in order[3:]]  # the first three warm up
    assert set(Counter(turns).values()) == {len(rounds)}
    assert all(a != b for a, b in pairwise(turns))
