"""What a data set covers: the figures that its golden keeps."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from mlffd.golden.records import ElementCount
from mlffd.structures.structure import Structure


@dataclass(frozen=True)
class Coverage:
    """Counts over a data set.

    Attributes:
        by_symbol: atoms of each element, and structures that hold it.
        periodic: structures that repeat in some direction.
        largest: atoms of the largest structure.
    """

    by_symbol: dict[str, ElementCount]
    periodic: int
    largest: int


def count_elements(structures: Iterable[Structure]) -> Coverage:
    """Count in one pass."""
    atoms: dict[int, int] = {}
    holders: dict[int, int] = {}
    periodic = largest = 0
    for structure in structures:
        periodic += structure.is_periodic
        largest = max(largest, len(structure))
        for z, n in zip(*np.unique(structure.numbers, return_counts=True), strict=True):
            atoms[int(z)] = atoms.get(int(z), 0) + int(n)
            holders[int(z)] = holders.get(int(z), 0) + 1
    by_symbol = {
        chemical_symbols[z]: ElementCount(atoms=atoms[z], structures=holders[z])
        for z in sorted(atoms)
    }
    return Coverage(by_symbol, periodic, largest)
