"""Molecules of one pool in company: pairs in contact, crystals, liquids."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlffd.distill.conformers import embed, numbers_of
from mlffd.distill.molecules import Molecule
from mlffd.distill.packing import crystal, liquid, pair, strained
from mlffd.distill.scans import approach
from mlffd.distill.thermal import thermal
from mlffd.structures.structure import Structure

#: Atoms of the largest member of a pair or a crystal, and of a liquid.
LARGEST_MEMBER = 14
LARGEST_LIQUID_MEMBER = 8

#: K, and structures of each molecule to choose from.
TEMPERATURE = 300
CHOICE = 4

#: Of a pool with members that are small enough: pairs, and how likely one of them is a scan of
#: molecules that approach each other, there is a crystal, and a liquid, and either has a strained
#: copy.
PAIRS = 2
APPROACHES = 0.3
CRYSTALS = 0.25
LIQUIDS = 0.35
STRAINED_COPIES = 0.35

#: The closest atoms of two molecules in sums of van der Waals radii: from hard collisions, which
#: dynamics must find repulsive, to just touching; in scans; and in cells.
CLOSENESS = (0.55, 1.05)
APPROACH_CLOSENESS = (0.45, 0.6)
CELL_CLOSENESS = (0.65, 0.9)

#: Points of a scan.
POINTS = 4

#: Atoms in a cell of a crystal, and copies of the molecule; molecules in a box of liquid, and
#: atoms at most.
CRYSTAL_ATOMS = range(6, 33)
CRYSTAL_COPIES = (1, 2, 4)
LIQUID_MOLECULES = range(6, 13)
LARGEST_LIQUID = 60

#: Thermal structures of each molecule.
Hot = Mapping[str, Sequence[Structure]]


def in_company(molecules: Sequence[Molecule], rng: np.random.Generator) -> Iterator[Structure]:
    """Structures of several molecules, all of one pool.

    Args:
        molecules: the pool; those that are too large stay alone.
        rng: decides everything that is random.

    Raises:
        InputError: see `embed`.
    """
    small = [molecule for molecule in molecules if len(numbers_of(molecule)) <= LARGEST_MEMBER]
    hot = {molecule.name: _hot(molecule, rng) for molecule in small}
    hot = {name: structures for name, structures in hot.items() if structures}
    if not hot:
        return
    yield from _pairs(hot, rng)
    cells = [*_crystals(hot, rng), *_liquids(hot, rng)]
    cells += [strained(cell, rng) for cell in cells if rng.random() < STRAINED_COPIES]
    for number, cell in enumerate(cells):
        yield replace(cell, name=f"{cell.name}/cell-{number}")


def _hot(molecule: Molecule, rng: np.random.Generator) -> list[Structure]:
    conformers = embed(molecule, rng, most=1)
    found = thermal(conformers, conformers.minima[0], TEMPERATURE, CHOICE, rng)
    return [Structure(numbers=conformers.numbers, positions=positions) for positions in found]


def _pairs(hot: Hot, rng: np.random.Generator) -> Iterator[Structure]:
    approaching = int(rng.integers(PAIRS)) if rng.random() < APPROACHES else None
    for number in range(PAIRS):
        closeness = rng.uniform(*(APPROACH_CLOSENESS if number == approaching else CLOSENESS))
        names = [str(name) for name in rng.choice(list(hot), size=2)]
        first, second = _some(hot, names, rng)
        met = pair(first, second, closeness, rng)
        if number != approaching:
            yield replace(met, name=f"{'+'.join(names)}/pair-{number}")
            continue
        for point, positions in enumerate(approach(met, len(first), POINTS)):
            yield met.with_positions(positions, name=f"{'+'.join(names)}/scan-{number}-{point:02d}")


def _crystals(hot: Hot, rng: np.random.Generator) -> Iterator[Structure]:
    """At most one, called by its molecule."""
    options = [
        (name, copies)
        for name, structures in hot.items()
        for copies in CRYSTAL_COPIES
        if len(structures[0]) * copies in CRYSTAL_ATOMS
    ]
    if options and rng.random() < CRYSTALS:
        name, copies = options[rng.integers(len(options))]
        (molecule,) = _some(hot, [name], rng)
        yield replace(crystal(molecule, copies, rng.uniform(*CELL_CLOSENESS), rng), name=name)


def _liquids(hot: Hot, rng: np.random.Generator) -> Iterator[Structure]:
    """At most one, of one molecule or a mixture, called by what is in it."""
    small = [name for name, found in hot.items() if len(found[0]) <= LARGEST_LIQUID_MEMBER]
    if not small or rng.random() >= LIQUIDS:
        return
    kinds = list(rng.permutation(small)[: rng.integers(1, 3)])
    wanted = int(rng.choice(LIQUID_MOLECULES))
    names: list[str] = []
    atoms = 0
    while len(names) < wanted:
        name = str(kinds[len(names) % len(kinds)])
        if (atoms := atoms + len(hot[name][0])) > LARGEST_LIQUID:
            break
        names.append(name)
    packed = liquid(_some(hot, names, rng), rng.uniform(*CELL_CLOSENESS), rng)
    yield replace(packed, name="+".join(dict.fromkeys(names)))


def _some(hot: Hot, names: Sequence[str], rng: np.random.Generator) -> list[Structure]:
    """One thermal structure of each molecule that is named."""
    return [hot[name][int(rng.integers(len(hot[name])))] for name in names]
