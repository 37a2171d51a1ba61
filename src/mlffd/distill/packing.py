"""Molecules beside each other: pairs in contact, and small periodic cells."""

from collections.abc import Callable, Sequence

import numpy as np
from ase.data import vdw_radii
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from mlffd.structures.structure import FloatArray, Structure

#: Molecules per cell and where they are, in fractions of the lattice vectors: one in a primitive,
#: two in a body-centred, four in a face-centred cell.
_SITES = {
    1: np.zeros((1, 3)),
    2: np.array([[0, 0, 0], [1, 1, 1]]) / 2,
    4: np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
}

_IMAGES = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T

#: Relative size of the random strain that makes a cell triclinic.
STRAIN = 0.08


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


def cell(molecules: Sequence[Structure], closeness: float, rng: np.random.Generator) -> Structure:
    """One, two or four molecules, randomly turned, in a slightly triclinic periodic cell.

    Args:
        molecules: what to put on the sites.
        closeness: of the closest two atoms of different molecules, images included, in sums of
            their van der Waals radii.
        rng: decides everything that is random.
    """
    numbers = np.concatenate([molecule.numbers for molecule in molecules])
    turned = np.concatenate([_turned(molecule, rng) for molecule in molecules])
    owner = np.repeat(np.arange(len(molecules)), [len(molecule) for molecule in molecules])
    site = _SITES[len(molecules)][owner]
    shape = np.eye(3) + STRAIN * rng.normal(size=(3, 3))
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
    while contact(inner := outer - 0.25) > 0:
        outer = inner
    return float(brentq(contact, inner, outer))
