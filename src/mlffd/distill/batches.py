"""What a training step sees: structures with their labels, their neighbours found only once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlffd.structures.batch import Batch, collate
from mlffd.structures.structure import Structure

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Structures and what the teacher says about them.

    Attributes:
        batch: B structures of N atoms, in float32.
        energies: eV, float64 ``[B]``.
        forces: eV/Å, ``[N, 3]``.
        stresses: eV/Å³, ``[B, 3, 3]``; None: these are molecules, which have no volume.
    """

    batch: Batch
    energies: Tensor
    forces: Tensor
    stresses: Tensor | None

    @property
    def periodic(self) -> bool:
        """Whether these are cells; a batch never holds both cells and molecules."""
        return self.stresses is not None

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        stresses = None if self.stresses is None else self.stresses.to(device)
        return replace(
            self,
            batch=self.batch.to(device),
            energies=self.energies.to(device),
            forces=self.forces.to(device),
            stresses=stresses,
        )


class LabelledGraphs:
    """Structures with their neighbour lists and labels, to take batches from.

    Everything is one large batch; taking some of its structures copies rows, which costs far less
    than finding neighbours again.

    Args:
        structures: at least one, with energies and forces, and stresses where periodic.
        cutoff: Å, of the neighbour lists.

    Attributes:
        atom_counts: int64 ``[M]``.
        periodic: bool ``[M]``.
    """

    def __init__(self, structures: Sequence[Structure], cutoff: float) -> None:
        self._all = collate(structures, cutoff, dtype=torch.float32, half_list=True)
        self.atom_counts: IntArray = self._all.atom_counts.numpy()
        self.periodic = np.array([s.is_periodic for s in structures])
        owners = self._all.structure_index[self._all.edge_index[1]]  # ascending
        self._edge_counts: IntArray = torch.bincount(owners, minlength=len(structures)).numpy()
        self._atom_starts = _starts(self.atom_counts)
        self._edge_starts = _starts(self._edge_counts)
        self._energies = torch.tensor([s.energy for s in structures], dtype=torch.float64)
        self._forces = _floats(np.concatenate([_given(s.forces) for s in structures]))
        self._stresses = _floats(
            np.stack([_given(s.stress) if s.is_periodic else np.zeros((3, 3)) for s in structures])
        )

    def __len__(self) -> int:
        return len(self.atom_counts)

    def select(self, chosen: IntArray) -> TrainingBatch:
        """A batch of some of the structures, in this order.

        Args:
            chosen: their indices, int64 ``[B]``; all periodic or all not.
        """
        counts, edge_counts = self.atom_counts[chosen], self._edge_counts[chosen]
        atoms = _ranges(self._atom_starts[chosen], counts)
        edges = _ranges(self._edge_starts[chosen], edge_counts)
        moved = np.repeat(_starts(counts) - self._atom_starts[chosen], edge_counts)
        everything, kept = self._all, torch.from_numpy(chosen)
        batch = Batch(
            numbers=everything.numbers[atoms],
            positions=everything.positions[atoms],
            edge_index=everything.edge_index[:, edges] + torch.from_numpy(moved),
            shifts=everything.shifts[edges],
            structure_index=torch.from_numpy(np.repeat(np.arange(len(chosen)), counts)),
            atom_counts=everything.atom_counts[kept],
            cells=everything.cells[kept],
            pbc=everything.pbc[kept],
            half_list=True,
        )
        return TrainingBatch(
            batch=batch,
            energies=self._energies[kept],
            forces=self._forces[atoms],
            stresses=self._stresses[kept] if self.periodic[chosen[0]] else None,
        )


def _starts(counts: IntArray) -> IntArray:
    starts: IntArray = np.cumsum(counts) - counts
    return starts


def _ranges(starts: IntArray, counts: IntArray) -> Tensor:
    """All of ``start, start + 1, ...``, ``count`` of them, for each pair, one after another."""
    return torch.from_numpy(np.repeat(starts - _starts(counts), counts) + np.arange(counts.sum()))


def _given(label: NDArray[np.float64] | None) -> NDArray[np.float64]:
    assert label is not None  # the caller has made sure
    return label


def _floats(array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
