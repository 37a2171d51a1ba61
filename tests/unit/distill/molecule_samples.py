"""A molecule that needs neither RDKit nor tblite: a chain whose neighbours are on springs."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from mlffd.distill.conformers import Conformers

#: Å and eV/Å².
LENGTH = 1.5
STIFFNESS = 30.0


class Chain(Calculator):
    """Harmonic bonds between consecutive atoms, and as stiff ones between second neighbours."""

    implemented_properties = ("energy", "forces")

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        positions = self.atoms.positions
        energy, forces = 0.0, np.zeros_like(positions)
        for apart in (1, 2):
            along = positions[apart:] - positions[:-apart]
            lengths = np.linalg.norm(along, axis=1, keepdims=True)
            stretched = lengths - apart * LENGTH
            energy += STIFFNESS / 2 * float((stretched**2).sum())
            pull = STIFFNESS * stretched * along / lengths
            forces[:-apart] += pull
            forces[apart:] -= pull
        self.results = {"energy": energy, "forces": forces}


def chain(count: int = 4) -> Conformers:
    """Carbon atoms in a row."""
    bonds = [(k, k + 1) for k in range(count - 1)]
    return Conformers(
        numbers=np.full(count, 6),
        bonds=np.array(bonds),
        is_bridge=np.ones(count - 1, dtype=bool),
        minima=[np.arange(count)[:, None] * np.array([LENGTH, 0.0, 0.0])],
        surface=Chain,
        is_teachers=False,
    )
