"""Molecules beside each other: pairs in contact, crystals and liquids in periodic cells."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from ase.data import vdw_radii
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from mlffd.structures.structure import FloatArray, Structure

_IMAGES = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T

#: Where the molecules of a crystal are, in fractions of the lattice vectors, by their number.
_SITES = {
    1: np.zeros((1, 3)),
    2: np.array([[0, 0, 0], [1, 1, 1]]) / 2,
    4: np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
}

#: Relative size of the random strain that makes a crystal triclinic.
STRAIN = 0.08

#: Of liquids: Å and radians by which molecules move and turn, how often each does, and how much
#: the box shrinks each time that all have had their turn.
MOVE = 0.3
TURN = 0.3
SWEEPS = 150
SHRINKAGE = 0.985

#: Relative size of the strain, and Å, of copies of cells.
STRAINED = 0.03
DISPLACED = 0.04


def pair(
    first: Structure, second: Structure, closeness: float, rng: np.random.Generator
) -> Structure:
    """Two molecules, randomly turned, brought together along a random direction.

    Args:
        first: stays where it is.
        second: is moved.
        closeness: distance of the closest two atoms, in sums of their van der Waals radii.
        rng: decides everything that is random.
    """
    ours, theirs = _turned(first, rng), _turned(second, rng)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)

    def contact(distance: float) -> float:
        moved = theirs + distance * direction
        return float(_ratios(ours, first.numbers, moved, second.numbers).min()) - closeness

    distance = _outermost_root(contact)
    return Structure(
        numbers=np.concatenate([first.numbers, second.numbers]),
        positions=np.concatenate([ours, theirs + distance * direction]),
    )


def crystal(
    molecule: Structure, copies: int, closeness: float, rng: np.random.Generator
) -> Structure:
    """One, two or four copies of a molecule, randomly turned, in a slightly triclinic cell.

    Args:
        molecule: what to put on the sites.
        copies: one makes a primitive cell, two a body-centred and four a face-centred one.
        closeness: see `liquid`.
        rng: decides everything that is random.
    """
    shape = np.eye(3) + STRAIN * rng.normal(size=(3, 3))
    return _packed([molecule] * copies, _SITES[copies], shape, closeness, rng)


def liquid(molecules: Sequence[Structure], closeness: float, rng: np.random.Generator) -> Structure:
    """Molecules without order in a cubic periodic box.

    They begin on a loose grid; then the box shrinks whenever it can while they move and turn at
    random as rigid bodies, as in Monte Carlo dynamics of hard bodies under pressure.

    Args:
        molecules: what to put in.
        closeness: the least that atoms of different molecules may have, images included, in sums
            of their van der Waals radii.
        rng: decides everything that is random.
    """
    edge = math.ceil(len(molecules) ** (1 / 3))
    grid = np.array(list(np.ndindex(edge, edge, edge))) / edge
    sites = rng.permutation(grid)[: len(molecules)]
    loose = _packed(molecules, sites, np.eye(3), closeness, rng)
    assert loose.cell is not None
    length = float(loose.cell[0, 0])
    ends = np.cumsum([len(molecule) for molecule in molecules])
    members = np.split(np.arange(len(loose)), ends[:-1])
    placed = [loose.positions[atoms] for atoms in members]
    numbers = [molecule.numbers for molecule in molecules]
    for _ in range(SWEEPS):
        for k, positions in enumerate(placed):
            moved = _nudged(positions, length, rng)
            if _is_free(k, moved, placed, numbers, length, closeness):
                placed[k] = moved
        shrunk = [x - (1 - SHRINKAGE) * x.mean(axis=0) for x in placed]
        smaller = SHRINKAGE * length
        if all(
            _is_free(k, shrunk[k], shrunk, numbers, smaller, closeness) for k in range(len(shrunk))
        ):
            placed, length = shrunk, smaller
    return replace(loose, positions=np.concatenate(placed), cell=length * np.eye(3))


def _nudged(positions: FloatArray, length: float, rng: np.random.Generator) -> FloatArray:
    """A rigid molecule moved and turned a little, its centre in the box, Å, ``[N, 3]``."""
    centre = positions.mean(axis=0)
    turned = Rotation.from_rotvec(TURN * rng.normal(size=3)).apply(positions - centre)
    moved: FloatArray = turned + (centre + MOVE * rng.normal(size=3)) % length
    return moved


def _is_free(
    index: int,
    positions: FloatArray,
    placed: Sequence[FloatArray],
    numbers: Sequence[NDArray[np.int64]],
    length: float,
    closeness: float,
) -> bool:
    """Whether a molecule at ``positions`` keeps its distance from all others and all images."""
    others = np.concatenate([x for k, x in enumerate(placed) if k != index])
    kinds = np.concatenate([z for k, z in enumerate(numbers) if k != index])
    images = (_IMAGES * length)[:, None]
    its_images = positions + images[_IMAGES.any(axis=1)]
    return bool(
        (_ratios(positions, numbers[index], others + images, kinds) >= closeness).all()
        and (_ratios(positions, numbers[index], its_images, numbers[index]) >= closeness).all()
    )


def strained(structure: Structure, rng: np.random.Generator) -> Structure:
    """A cell strained and its atoms displaced, both a little, at random."""
    assert structure.cell is not None
    strain = STRAINED * rng.normal(size=(3, 3))
    deformation = np.eye(3) + (strain + strain.T) / 2
    noise = DISPLACED * rng.normal(size=structure.positions.shape)
    return replace(
        structure,
        positions=structure.positions @ deformation + noise,
        cell=structure.cell @ deformation,
    )


def _packed(
    molecules: Sequence[Structure],
    sites: FloatArray,
    shape: FloatArray,
    closeness: float,
    rng: np.random.Generator,
) -> Structure:
    """The smallest cell of a shape whose molecules, on sites ``[M, 3]``, are not too close."""
    numbers = np.concatenate([molecule.numbers for molecule in molecules])
    turned = np.concatenate([_turned(molecule, rng) for molecule in molecules])
    owner = np.repeat(np.arange(len(molecules)), [len(molecule) for molecule in molecules])
    site = sites[owner]
    at_home = np.all(_IMAGES == 0, axis=1)
    same = at_home[:, None, None] & np.equal.outer(owner, owner)

    def contact(length: float) -> float:
        positions = turned + site @ (length * shape)
        images = positions + (_IMAGES @ (length * shape))[:, None]
        ratios = _ratios(positions, numbers, images, numbers)
        return float(ratios[~same].min()) - closeness

    length = _outermost_root(contact)
    return Structure(
        numbers=numbers,
        positions=turned + site @ (length * shape),
        cell=length * shape,
        pbc=np.ones(3, dtype=bool),
    )


def _turned(molecule: Structure, rng: np.random.Generator) -> FloatArray:
    """Positions about their centre, randomly rotated, Å, ``[N, 3]``."""
    centred = molecule.positions - molecule.positions.mean(axis=0)
    rotated: FloatArray = Rotation.random(rng=rng).apply(centred)
    return rotated


def _ratios(
    first: FloatArray,
    first_numbers: NDArray[np.int64],
    second: FloatArray,
    second_numbers: NDArray[np.int64],
) -> FloatArray:
    """Distances ``[..., N, M]`` of ``[N, 3]`` to ``[..., M, 3]`` in van der Waals sums."""
    distances = np.linalg.norm(first[:, None] - second[..., None, :, :], axis=-1)
    ratios: FloatArray = distances / (vdw_radii[first_numbers][:, None] + vdw_radii[second_numbers])
    return ratios


def _outermost_root(contact: Callable[[float], float]) -> float:
    """The largest length in Å at which ``contact``, positive far out, is zero."""
    outer = 40.0
    while contact(inner := outer - 0.5) > 0:
        outer = inner
    return float(brentq(contact, inner, outer))
