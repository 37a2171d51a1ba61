"""Reading rows of a data set in HDF5, a bounded piece at a time."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlffd.structures.hdf5_schema import (
    CELLS,
    ENERGY,
    FORCES,
    NAMES_KEY,
    NUMBERS,
    PBC,
    POSITIONS,
    STRESS,
    STRESS_MASK,
    Column,
    IntArray,
    Layout,
)
from mlffd.structures.structure import FloatArray

#: One read fetches at most so many; a larger structure is read alone.
BLOCK_ATOMS = 2**16
BLOCK_STRUCTURES = 2**13


@dataclass(frozen=True, eq=False)
class Record:
    """One structure as stored, sound or not: `Structure` would refuse some of what is found.

    Attributes:
        index: which structure of the data set.
        numbers: int64 ``[N]``.
        positions: Å, ``[N, 3]``.
        cell: Å, ``[3, 3]``; zeros where there is none.
        pbc: ``[3]``.
        energy: eV; None if the data set has no labels.
        forces: eV/Å, ``[N, 3]``; None if the data set has no labels.
        stress: eV/Å³, Voigt ``[6]``; None where there is none.
        name: the index where there is none.
    """

    index: int
    numbers: IntArray
    positions: FloatArray
    cell: FloatArray
    pbc: NDArray[np.bool_]
    energy: float | None
    forces: FloatArray | None
    stress: FloatArray | None
    name: str


def blocks(splits: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges ``start, stop`` of structures that are read together."""
    structures = len(splits) - 1
    start = 0
    while start < structures:
        fitting = np.searchsorted(splits, splits[start] + BLOCK_ATOMS, side="right") - 1
        stop = int(min(max(fitting, start + 1), start + BLOCK_STRUCTURES, structures))
        yield start, stop
        start = stop


def read_rows(layout: Layout, column: Column, start: int, stop: int) -> NDArray[Any]:
    """Rows ``start:stop`` of a column, in the schema's type; the column is there."""
    return np.asarray(layout.columns[column.key][start:stop]).astype(column.dtype)


def read_names(layout: Layout, start: int, stop: int) -> list[bytes]:
    """UTF-8 names of structures; the index where there is none."""
    if NAMES_KEY not in layout.columns:
        return [str(index).encode() for index in range(start, stop)]
    stored = layout.columns[NAMES_KEY][start:stop]
    return [bytes(n) or str(i).encode() for i, n in enumerate(stored, start=start)]


def read_stress(layout: Layout, start: int, stop: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Voigt stress ``[M, 6]`` in eV/Å³, zero where there is none, and the mask ``[M]``."""
    if STRESS.key not in layout.columns:
        return np.zeros((stop - start, 6)), np.zeros(stop - start, dtype=bool)
    mask = read_rows(layout, STRESS_MASK, start, stop)
    stress = read_rows(layout, STRESS, start, stop)
    return np.where(mask[:, None], stress, 0.0), mask


def read_records(layout: Layout, start: int, stop: int) -> list[Record]:
    """The structures ``start:stop``, each column with one read."""
    splits = layout.splits[start : stop + 1]
    first, last = int(splits[0]), int(splits[-1])
    bounds = [slice(int(a), int(b)) for a, b in itertools.pairwise(splits - first)]
    numbers = read_rows(layout, NUMBERS, first, last)
    positions = read_rows(layout, POSITIONS, first, last)
    cells = read_rows(layout, CELLS, start, stop)
    pbc = read_rows(layout, PBC, start, stop)
    names = read_names(layout, start, stop)
    energy = forces = None
    if layout.is_labelled:
        energy = read_rows(layout, ENERGY, start, stop)
        forces = read_rows(layout, FORCES, first, last)
    stress, has_stress = read_stress(layout, start, stop)
    # Copies: a structure that somebody keeps must not keep the whole block in memory.
    return [
        Record(
            index=start + k,
            numbers=numbers[rows].copy(),
            positions=positions[rows].copy(),
            cell=cells[k].copy(),
            pbc=pbc[k].copy(),
            energy=None if energy is None else float(energy[k]),
            forces=None if forces is None else forces[rows].copy(),
            stress=stress[k].copy() if has_stress[k] else None,
            name=names[k].decode("utf-8", "replace"),
        )
        for k, rows in enumerate(bounds)
    ]
