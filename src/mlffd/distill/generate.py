"""The structures of each split: thermal molecules, pairs in contact, cells, single atoms."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase.data import atomic_numbers

from mlffd.distill.molecules import ELEMENTS, Molecule, Split
from mlffd.distill.packing import cell, pair
from mlffd.distill.thermal import minimum, thermal_positions
from mlffd.structures.structure import Structure

#: Where each split is written. The test molecules are the golden set.
FILES: dict[Split, str] = {
    "train": "train.h5",
    "validation": "validation.h5",
    "test": "golden.h5",
}

#: K, one structure per molecule and entry. Most of what is trained on is hotter than where
#: students are used: dynamics must not leave what they know.
TEMPERATURES: dict[Split, tuple[float, ...]] = {
    "train": (300.0, 300.0, 500.0, 500.0, 700.0, 1000.0, 1000.0),
    "validation": (300.0, 700.0),
    "test": (300.0, 300.0, 700.0),
}

#: Pairs of molecules, and periodic cells.
PAIRS: dict[Split, int] = {"train": 120, "validation": 6, "test": 8}
CELLS: dict[Split, int] = {"train": 24, "validation": 2, "test": 5}

#: Single atoms fix the limit of dissociation. They are no molecules, so they may recur in test.
ATOMS: dict[Split, tuple[str, ...]] = {
    "train": ELEMENTS,
    "validation": (),
    "test": ("H", "O", "Cl"),
}

#: The size of the members of pairs, and of the whole of a cell.
LARGEST_MEMBER = 12
CELL_ATOMS = range(8, 25)

#: Of the closest atoms of two molecules in sums of van der Waals radii: from hard collisions,
#: which dynamics must find repulsive, to just touching.
CLOSENESS = (0.55, 1.05)
CELL_CLOSENESS = (0.75, 1.0)

#: Å, added to every atom of train and validation: stretches bonds as a hot molecule does.
RATTLE = 0.02

#: Factors by which molecules of up to 4 atoms are scaled in train: bonds under compression.
SCALES = (0.93, 1.12)


def generate_structures(
    molecules: Sequence[Molecule], split: Split, seed: int
) -> Iterator[Structure]:
    """Structures without labels made from the molecules of one split.

    The same arguments give the same structures; another split does not change them.

    Args:
        molecules: of all splits.
        split: which to use.
        seed: of everything that is random.

    Raises:
        InputError: RDKit is missing or refuses a molecule.
    """
    rng = np.random.default_rng([seed, sorted(TEMPERATURES).index(split)])
    thermal: list[Structure] = []
    for molecule in (m for m in molecules if m.split == split):
        start = minimum(molecule.smiles, seed=int(rng.integers(2**31)))
        for count, temperature in enumerate(TEMPERATURES[split]):
            positions = thermal_positions(start, temperature, rng)
            if split != "test":
                positions = positions + RATTLE * rng.normal(size=positions.shape)
            thermal.append(
                Structure(
                    numbers=start.numbers,
                    positions=positions,
                    name=f"{molecule.name}/{temperature:.0f}K-{count}",
                )
            )
    yield from thermal
    if split == "train":
        yield from _scaled(thermal)
    yield from _pairs(thermal, PAIRS[split], rng)
    yield from _cells(thermal, CELLS[split], rng)
    for symbol in ATOMS[split]:
        yield Structure(
            numbers=np.array([atomic_numbers[symbol]]),
            positions=np.zeros((1, 3)),
            name=f"{symbol}/atom",
        )


def _scaled(thermal: Sequence[Structure]) -> Iterator[Structure]:
    for structure in thermal:
        if len(structure) <= 4 and structure.name.endswith("/300K-0"):
            for scale in SCALES:
                yield structure.with_positions(
                    structure.positions * scale, name=f"{molecule_of(structure)}/x{scale}"
                )


def _pairs(
    thermal: Sequence[Structure], count: int, rng: np.random.Generator
) -> Iterator[Structure]:
    small = [s for s in thermal if len(s) <= LARGEST_MEMBER]
    for number in range(count):
        first, second = (small[i] for i in rng.choice(len(small), size=2, replace=False))
        name = f"{molecule_of(first)}+{molecule_of(second)}/pair-{number}"
        yield replace(pair(first, second, rng.uniform(*CLOSENESS), rng), name=name)


def _cells(
    thermal: Sequence[Structure], count: int, rng: np.random.Generator
) -> Iterator[Structure]:
    options = [(s, k) for s in thermal for k in (1, 2, 4) if len(s) * k in CELL_ATOMS]
    for number, option in enumerate(rng.choice(len(options), size=count, replace=False)):
        structure, copies = options[option]
        packed = cell([structure] * copies, rng.uniform(*CELL_CLOSENESS), rng)
        yield replace(packed, name=f"{molecule_of(structure)}/cell-{number}")


def molecule_of(structure: Structure) -> str:
    """The molecule, or the molecules joined by ``+``, that a generated structure is made of."""
    return structure.name.partition("/")[0]
