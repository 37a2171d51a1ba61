"""What a data set covers: the figures that its golden keeps."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from ase.data import chemical_symbols

from mlffd.golden.records import ElementCount
from mlffd.structures.neighbours import find_neighbours
from mlffd.structures.structure import Structure

_BONDED = 3.0  # Å, within which every atom but a lone one has a neighbour


@dataclass(frozen=True)
class Coverage:
    """Figures of a data set.

    Attributes:
        elements: by chemical symbol, atoms of each and structures that hold it.
        kinds: structures that are ``periodic``, ``labelled`` and have a ``stress`` label.
        largest: atoms of the largest structure.
        typical: figures whose size shows a wrong unit: ``nearest_distance`` (Å, median over
            structures of the shortest distance), ``forces_rms`` (eV/Å), ``energy_per_atom`` (eV,
            mean of the magnitude); absent if there is nothing to take them from, or all is zero.
    """

    elements: dict[str, ElementCount]
    kinds: dict[str, int]
    largest: int
    typical: dict[str, float]


@dataclass
class _Tally:
    """Sums over the structures seen so far."""

    atoms: dict[int, int] = field(default_factory=dict)
    holders: dict[int, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(
        default_factory=lambda: {"periodic": 0, "labelled": 0, "stress": 0}
    )
    largest: int = 0
    nearest: list[float] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    squared_forces: float = 0.0
    components: int = 0

    def add(self, structure: Structure) -> None:
        for z, n in zip(*np.unique(structure.numbers, return_counts=True), strict=True):
            self.atoms[int(z)] = self.atoms.get(int(z), 0) + int(n)
            self.holders[int(z)] = self.holders.get(int(z), 0) + 1
        self.kinds["periodic"] += structure.is_periodic
        self.kinds["labelled"] += structure.energy is not None and structure.forces is not None
        self.kinds["stress"] += structure.stress is not None
        self.largest = max(self.largest, len(structure))
        edges, shifts = find_neighbours(structure, _BONDED)
        if len(shifts):
            vectors = structure.positions[edges[0]] - structure.positions[edges[1]] + shifts
            self.nearest.append(float(np.linalg.norm(vectors, axis=1).min()))
        if structure.energy is not None:
            self.energies.append(abs(structure.energy) / len(structure))
        if structure.forces is not None:
            self.squared_forces += float((structure.forces**2).sum())
            self.components += structure.forces.size


def measure_coverage(structures: Iterable[Structure]) -> Coverage:
    """Take all figures in one pass.

    Raises:
        InputError: a position is not finite.
    """
    tally = _Tally()
    for structure in structures:
        tally.add(structure)
    typical = {}
    if tally.nearest:
        typical["nearest_distance"] = float(np.median(tally.nearest))
    if tally.energies:
        typical["energy_per_atom"] = float(np.mean(tally.energies))
    if tally.components:
        typical["forces_rms"] = float(np.sqrt(tally.squared_forces / tally.components))
    return Coverage(
        elements={
            chemical_symbols[z]: ElementCount(atoms=tally.atoms[z], structures=tally.holders[z])
            for z in sorted(tally.atoms)
        },
        kinds=tally.kinds,
        largest=tally.largest,
        typical={name: size for name, size in typical.items() if size != 0},
    )
