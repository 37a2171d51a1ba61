"""Several structures in one set of tensors, with their neighbour lists."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from mlffd.structures.neighbours import Neighbours, find_neighbours
from mlffd.structures.structure import Structure

T = TypeVar("T", bound=Structure)


@dataclass(frozen=True, eq=False)
class Batch:
    """B structures of N atoms and E directed edges in all.

    Attributes:
        numbers: atomic numbers, int64 ``[N]``.
        positions: Å, ``[N, 3]``.
        edge_index: int64 ``[2, E]``; row 0 the source j, row 1 the destination i, sorted by i.
        shifts: Å, ``[E, 3]``; the edge vector is ``x_j - x_i + shift``.
        structure_index: int64 ``[N]``, which structure an atom belongs to.
        atom_counts: int64 ``[B]``.
        cells: Å, ``[B, 3, 3]``, zero where there is none.
        pbc: bool ``[B, 3]``.
        half_list: whether of each two edges that are opposite, j -> i and i -> j, only one is here
            and stands for both.
    """

    numbers: Tensor
    positions: Tensor
    edge_index: Tensor
    shifts: Tensor
    structure_index: Tensor
    atom_counts: Tensor
    cells: Tensor
    pbc: Tensor
    half_list: bool = False

    def __len__(self) -> int:
        return len(self.atom_counts)

    def vectors(self) -> Tensor:
        """Edge vectors ``x_j - x_i + shift`` in Å, ``[E, 3]``."""
        source, destination = self.edge_index
        return self.positions[source] - self.positions[destination] + self.shifts

    def volumes(self) -> Tensor:
        """Å³, ``[B]``; NaN for a structure that does not repeat in all three directions."""
        volumes = torch.linalg.det(self.cells).abs()
        return torch.where(self.pbc.all(dim=1), volumes, torch.nan)

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: v.to(device) for k, v in values.items() if torch.is_tensor(v)}
        return replace(self, **moved)


def collate(
    structures: Sequence[Structure],
    cutoff: float,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    periodic: bool = True,
    half_list: bool = False,
) -> Batch:
    """Concatenate structures and find their neighbours; neighbours never cross structures.

    Args:
        structures: at least one.
        cutoff: Å.
        dtype: of positions, shifts and cells; neighbours are always found in float64.
        device: where the tensors end up.
        periodic: False ignores the cells (see `find_neighbours`).
        half_list: keep one edge of each two that are opposite.
    """
    if not structures:
        raise ValueError("a batch needs at least one structure")
    counts = np.array([len(s) for s in structures], dtype=np.int64)
    lists = [find_neighbours(s, cutoff, periodic=periodic) for s in structures]
    if half_list:
        lists = [_half(neighbours) for neighbours in lists]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    cells = [np.zeros((3, 3)) if s.cell is None else s.cell for s in structures]

    def floats(array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=dtype, device=device)

    def integers(array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=torch.int64, device=device)

    return Batch(
        numbers=integers(np.concatenate([s.numbers for s in structures])),
        positions=floats(np.concatenate([s.positions for s in structures])),
        edge_index=integers(
            np.concatenate(
                [n.edge_index + start for n, start in zip(lists, starts, strict=True)], axis=1
            )
        ),
        shifts=floats(np.concatenate([n.shifts for n in lists])),
        structure_index=integers(np.repeat(np.arange(len(counts)), counts)),
        atom_counts=integers(counts),
        cells=floats(np.stack(cells)),
        pbc=torch.as_tensor(np.stack([s.pbc for s in structures]), device=device),
        half_list=half_list,
    )


def _half(neighbours: Neighbours) -> Neighbours:
    """One edge of each two that are opposite: that from the later atom to the earlier.

    Between images of one atom it is that with the shift towards larger x, or y or z.
    """
    source, destination = neighbours.edge_index
    x, y, z = neighbours.shifts.T
    # Opposite shifts are so bit for bit: the first component that is not zero decides.
    forward = np.where(x != 0, x, np.where(y != 0, y, z)) > 0
    kept = (source > destination) | ((source == destination) & forward)
    return Neighbours(neighbours.edge_index[:, kept], neighbours.shifts[kept])


def in_chunks(
    structures: Iterable[T], *, max_atoms: int, max_structures: int | None = None
) -> Iterator[list[T]]:
    """Consecutive groups of at most ``max_atoms`` atoms; a larger structure goes alone."""
    group: list[T] = []
    atoms = 0
    for structure in structures:
        full = atoms + len(structure) > max_atoms or len(group) == max_structures
        if group and full:
            yield group
            group, atoms = [], 0
        group.append(structure)
        atoms += len(structure)
    if group:
        yield group
