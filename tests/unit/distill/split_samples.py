"""Named and labelled structures of made-up molecules: only names, elements and counts matter."""

from dataclasses import replace

import numpy as np
from ase.data import atomic_numbers

from mlffd.structures.structure import Structure

ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl")


def make(name: str, symbols: list[str], rng: np.random.Generator, **more) -> Structure:
    """One labelled structure; its labels are only numbers."""
    count = len(symbols)
    return Structure(
        numbers=np.array([atomic_numbers[symbol] for symbol in symbols]),
        positions=10 * rng.uniform(size=(count, 3)),
        energy=float(rng.normal()),
        forces=rng.normal(size=(count, 3)),
        name=name,
        **more,
    )


def molecule(name: str, symbols: list[str], rng: np.random.Generator) -> list[Structure]:
    """What is generated of one molecule: thermal structures, a minimum, a rattle, a scan."""
    kinds = [*(f"{t}K-{n}" for t, n in [(300, 0), (300, 1), (500, 0), (700, 0)]), "min-0"]
    made = [make(f"{name}/{kind}", symbols, rng) for kind in kinds]
    made.append(rattled(made[-1], rng))
    return made + [make(f"{name}/scan-0-{point:02d}", symbols, rng) for point in range(3)]


def rattled(structure: Structure, rng: np.random.Generator, number: int = 0) -> Structure:
    moves = rng.normal(scale=0.08, size=structure.positions.shape)
    name = f"{structure.name.partition('/')[0]}/rattle-{number}"
    return replace(structure, positions=structure.positions + moves, name=name)


def joined(first: list[Structure], second: list[Structure], number: int) -> Structure:
    """A pair of two molecules."""
    a, b = first[0], second[0]
    names = [structure.name.partition("/")[0] for structure in (a, b)]
    return replace(
        a,
        numbers=np.concatenate([a.numbers, b.numbers]),
        positions=np.concatenate([a.positions, b.positions + 20]),
        forces=np.concatenate([a.forces, b.forces]),
        name=f"{'+'.join(names)}/pair-{number}",
    )


def cell(members: list[Structure], number: int) -> Structure:
    """Copies of one molecule in a cell."""
    a = members[0]
    return replace(
        a,
        numbers=np.tile(a.numbers, 2),
        positions=np.concatenate([a.positions, a.positions + 12]),
        forces=np.concatenate([a.forces, a.forces]),
        cell=30 * np.eye(3),
        pbc=np.ones(3, dtype=bool),
        stress=np.zeros((3, 3)),
        name=f"{a.name.partition('/')[0]}/cell-{number}",
    )


def library(count: int = 120, seed: int = 0) -> list[Structure]:
    """Of many molecules, some of them isomers: all kinds of structures, every element."""
    rng = np.random.default_rng(seed)
    members = []
    for number in range(count):
        rare = ELEMENTS[2 + number % 6]  # some are isomers by chance
        size = 120 if number % 11 == 0 else 2 if number % 11 == 1 else int(rng.integers(4, 20))
        symbols = [rare, *rng.choice(["C", "H"], size=size - 1)]
        members.append(molecule(f"m{number}", symbols, rng))
    small = [m for m in members if len(m[0]) < 20]
    pairs = [
        joined(small[a], small[b], number)
        for number, (a, b) in enumerate(rng.integers(len(small), size=(count // 3, 2)))
    ]
    cells = [cell(m, 0) for m in small[::3]]
    atoms = [make(f"{symbol}/atom", [symbol], rng) for symbol in ELEMENTS]
    return [*(s for m in members for s in m), *pairs, *cells, *atoms]
