"""Which structures make up each step of each epoch."""

import heapq

import numpy as np
from numpy.typing import NDArray

from mlffd.distill.batches import IntArray

#: Sizes are blurred by this fraction before sorting, lest the largest always meet the same others.
_BLUR = 0.2


class BatchPlan:
    """All structures once per epoch, in batches of about as many atoms.

    Molecules and cells do not mix: a molecule has no volume, hence a stress of NaN, whose
    derivative would spoil that of the whole batch. There is no padding that batches of like
    structures would save, so each batch gets large and small ones, which makes it a better sample.

    The plan of an epoch depends on the seed and its number only, so that a run can be taken up
    anywhere, and the number of steps is the same in all epochs, so that it is known in advance.

    Args:
        atom_counts: int64 ``[M]``.
        periodic: bool ``[M]``, which of them are cells.
        batch_atoms: per step, about; a larger structure is alone, or nearly so.
        seed: of the order and company.
        processes: that train together; each takes a part of every step.

    Attributes:
        batches: in an epoch.
        steps: in an epoch, one batch for each process.
    """

    def __init__(
        self,
        atom_counts: IntArray,
        periodic: NDArray[np.bool_],
        *,
        batch_atoms: int,
        seed: int,
        processes: int = 1,
    ) -> None:
        self._atom_counts = atom_counts
        self._seed = seed
        self._processes = processes
        self._groups = [np.flatnonzero(periodic == kind) for kind in (False, True)]
        share = max(1.0, batch_atoms / processes)
        self._counts = [
            min(len(group), max(1, round(atom_counts[group].sum() / share)))
            for group in self._groups
        ]
        self.batches: int = sum(self._counts)
        self.steps: int = -(-self.batches // processes)

    def epoch(self, number: int) -> list[list[IntArray]]:
        """The indices of structures, by step and by process.

        Args:
            number: of the epoch; any.
        """
        rng = np.random.default_rng([self._seed, number])
        batches: list[IntArray] = []
        for group, count in zip(self._groups, self._counts, strict=True):
            batches += self._balanced(group, count, rng)
        shuffled = [batches[i] for i in rng.permutation(len(batches))]
        # Every process needs a batch at every step: a few come twice to fill the last one.
        shuffled += shuffled[: -len(shuffled) % self._processes]
        return [
            shuffled[start : start + self._processes]
            for start in range(0, len(shuffled), self._processes)
        ]

    def _balanced(self, group: IntArray, count: int, rng: np.random.Generator) -> list[IntArray]:
        """Deal structures out, large ones first, each to the batch with the fewest atoms so far."""
        sizes = self._atom_counts[group]
        order = np.argsort(-sizes * rng.uniform(1 - _BLUR, 1 + _BLUR, size=len(group)))
        batches: list[list[int]] = [[] for _ in range(count)]
        loads = [(0, k) for k in range(count)]
        for index in order:
            load, k = loads[0]
            batches[k].append(int(group[index]))
            heapq.heapreplace(loads, (load + int(sizes[index]), k))
        return [np.array(batch, dtype=np.int64) for batch in batches]
