"""Structures to try physics on: odd and even, small and rattled, periodic and not.

Geometries are ASE's (its G2 database; Curtiss et al., J. Chem. Phys. 106, 1063 (1997)), those of
``minima.xyz`` are minima of GFN2-xTB. Rattles are seeded, so every run asks about the same
structures.
"""

from collections.abc import Iterable
from functools import lru_cache
from importlib import resources

import numpy as np
from ase.build import molecule
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from mlffd.structures.extxyz import read_extxyz
from mlffd.structures.structure import FloatArray, Structure

#: What the probe molecules consist of.
ELEMENTS = frozenset(atomic_numbers[s] for s in ("H", "C", "N", "O", "F", "P", "S", "Cl"))

#: Largest first; together they hold every element of `ELEMENTS`, odd and even atom counts.
_MOLECULES = (
    "C5H5N",
    "CH3CONH2",
    "CH3CH2OH",
    "C4H4S",
    "CH3CH2Cl",
    "C2Cl4",
    "CF4",
    "H2CO",
    "PH3",
    "SO2",
    "H2O",
    "N2O",
    "HCl",
    "P2",
    "N2",
    "O2",
    "F2",
    "Cl2",
    "H2",
)

#: Their symmetry makes vector features exactly zero, to the last bit, at one atom or more.
_SYMMETRIC = ("CO2", "CH4", "SF6", "CF4", "CCl4", "CS2")

_RATTLE = 0.05  # Å
_ASSEMBLED = 5
_FEW = 3  # molecules: with fewer, a defect can hide
_SEED = 17


def rattled(structure: Structure, seed: int, amplitude: float = _RATTLE) -> Structure:
    """The same atoms, each moved by Gaussian noise of ``amplitude`` Å per component."""
    noise = np.random.default_rng(seed).normal(0.0, amplitude, structure.positions.shape)
    return structure.with_positions(structure.positions + noise)


@lru_cache
def equilibrium(name: str) -> Structure:
    """A molecule of ASE's collection, or SF6 with its bond length of 1.56 Å."""
    if name == "SF6":
        directions = np.concatenate([np.eye(3), -np.eye(3)])
        return Structure(
            np.array([16] + 6 * [9]), np.vstack([np.zeros(3), 1.56 * directions]), name=name
        )
    return Structure.from_atoms(molecule(name), name=name)


@lru_cache
def _all_minima() -> tuple[Structure, ...]:
    with resources.as_file(resources.files("mlffd.structures").joinpath("minima.xyz")) as path:
        return tuple(read_extxyz(path))


def _covered(structures: Iterable[Structure], elements: frozenset[int]) -> list[Structure]:
    return [s for s in structures if set(s.numbers.tolist()) <= elements]


def molecules(elements: frozenset[int]) -> list[Structure]:
    """Rattled molecules that consist of ``elements`` only, largest first.

    If hardly any does, there are clusters of those elements too: the laws of physics that are
    checked hold for any arrangement.
    """
    found = known_molecules(elements)
    if len(found) < _FEW:
        found = sorted([*found, *_clusters(elements)], key=len, reverse=True)
    return [rattled(s, seed) for seed, s in enumerate([_assembly(found), *found])]


def _assembly(members: list[Structure]) -> Structure:
    """The largest molecules in a row, each within reach of the next: about 40 atoms."""
    whole = members[0]
    for number in range(1, _ASSEMBLED):
        member = members[number % min(4, len(members))]
        gap = whole.positions[:, 0].max() - member.positions[:, 0].min() + 3.0
        whole = joined(whole, moved(member, np.array([gap, 0.0, 0.0])))
    return Structure(whole.numbers, whole.positions, name=f"row of {_ASSEMBLED} molecules")


def known_molecules(elements: frozenset[int]) -> list[Structure]:
    """Molecules that exist and consist of ``elements`` only, largest first; there may be none."""
    return _covered(map(equilibrium, _MOLECULES), elements)


def minima(elements: frozenset[int]) -> list[Structure]:
    """Molecules at rest, of about ten atoms of ``elements`` only; there may be none.

    5-Fluorouracil, a sulfonamide and a phosphate with chlorine: together they hold every element
    of `ELEMENTS`.
    """
    return _covered(_all_minima(), elements)


def _clusters(elements: frozenset[int]) -> list[Structure]:
    """Fragments of a close-packed lattice, at bonding distance, with elements drawn at random."""
    lattice = np.array([p for p in np.ndindex(4, 4, 4) if sum(p) % 2 == 0]) / np.sqrt(2.0)
    nearest_first = lattice[np.argsort(np.linalg.norm(lattice, axis=1), kind="stable")]
    generator = np.random.default_rng(_SEED)
    clusters = []
    for size in (8, 5, 4, 3, 2):
        numbers = generator.choice(sorted(elements), size=size)
        distance = 2.2 * covalent_radii[numbers].mean()
        name = f"cluster of {size}"
        clusters.append(Structure(numbers, distance * nearest_first[:size], name=name))
    return clusters


def symmetric(elements: frozenset[int]) -> list[Structure]:
    """A lone atom, and unrattled molecules with a vanishing vector feature."""
    chains = [
        Structure(
            np.full(3, z),
            2.2 * covalent_radii[z] * np.outer([0, 1, -1], [0, 0, 1]),
            name=f"straight chain of 3 {chemical_symbols[z]}",
        )
        for z in sorted(elements)
    ]
    return [atom(min(elements)), *chains, *_covered(map(equilibrium, _SYMMETRIC), elements)]


def crystals(elements: frozenset[int]) -> list[Structure]:
    """Rattled periodic structures of ``elements`` only, of 1 to 4 atoms.

    In cells that are smaller than the usual cutoff of 5 Å, skewed, left-handed, and periodic in
    two directions only; some atoms lie outside the cell.
    """
    offered = [*known_molecules(elements), *_clusters(elements)]
    guests = [next(s for s in offered if len(s) == size) for size in (4, 3, 2)]
    guests.append(atom(min(elements)))
    skewed = np.array([[4.6, 0.0, 0.0], [-0.8, 1.1, 4.4], [1.3, 4.2, 0.0]])  # left-handed
    cubic = 5.5 * np.eye(3)
    # Were it periodic across, too, the next layer would be within the cutoff.
    slab = np.array([[4.5, 0.4, 0.0], [0.0, 4.8, 0.0], [0.0, 0.0, 4.5]])
    everywhere, in_plane = np.ones(3, dtype=bool), np.array([True, True, False])
    return [
        rattled(_in_cell(guest, cell, pbc, kind), seed=100 + index)
        for index, (guest, cell, pbc, kind) in enumerate(
            (guest, cell, pbc, kind)
            for guest in guests
            for cell, pbc, kind in (
                (skewed, everywhere, "skewed cell"),
                (cubic, everywhere, "cubic cell"),
                (slab, in_plane, "slab"),
            )
        )
    ]


def _in_cell(guest: Structure, cell: FloatArray, pbc: np.ndarray, kind: str) -> Structure:
    return Structure(
        guest.numbers, guest.positions, cell=cell, pbc=pbc, name=f"{guest.name}, {kind}"
    )


def atom(number: int) -> Structure:
    """One atom, away from the origin."""
    return Structure(
        np.array([number]), np.array([[0.3, -0.2, 0.1]]), name=chemical_symbols[number]
    )


def pair(first: int, second: int, distance: float) -> Structure:
    """Two atoms ``distance`` Å apart, along no axis."""
    direction = np.array([0.36, 0.48, 0.8])
    name = f"{chemical_symbols[first]}-{chemical_symbols[second]}"
    positions = np.stack([np.zeros(3), distance * direction])
    return Structure(np.array([first, second]), positions, name=name)


def joined(first: Structure, second: Structure, *, name: str = "") -> Structure:
    """Two molecules as one structure, where they are."""
    return Structure(
        np.concatenate([first.numbers, second.numbers]),
        np.concatenate([first.positions, second.positions]),
        name=name or f"{first.name} + {second.name}",
    )


def moved(structure: Structure, by: FloatArray) -> Structure:
    """The structure displaced by a vector in Å."""
    return structure.with_positions(structure.positions + by)
