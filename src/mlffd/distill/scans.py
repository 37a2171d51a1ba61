"""Scans: a molecule pulled apart, pressed together or scaled, a little further at each point.

Consecutive points lie at most `STEP` apart in every atom, so that differences of their energies can
be compared with their forces.
"""

import numpy as np
from numpy.typing import NDArray

from mlffd.distill.conformers import Conformers
from mlffd.structures.structure import FloatArray, Structure

#: Å, by which an atom moves between points.
STEP = 0.1

#: A bond's length, in lengths of the minimum: how short it starts in a compression, and the range
#: in which a dissociation lies.
COMPRESSED = (0.75, 0.85)
DISSOCIATED = (0.85, 2.0)

#: The range of factors that scale a whole molecule.
SCALED = (0.9, 1.15)


def scan(
    conformers: Conformers, start: FloatArray, points: int, rng: np.random.Generator
) -> list[FloatArray]:
    """Positions, Å, of a dissociation (half of the scans), a compression or a scaling.

    A bond is stretched by moving what lies behind it as a whole.

    Args:
        conformers: the molecule.
        start: Å, ``[N, 3]``, where its bonds have their usual lengths.
        points: how many.
        rng: decides everything that is random.
    """
    bridges = conformers.bonds[conformers.is_bridge]
    kind = rng.choice(["dissociation", "compression", "scaling"], p=[0.5, 0.25, 0.25])
    if kind == "scaling" or not len(bridges):
        return _scaled(start, points, rng)
    bond = bridges[rng.integers(len(bridges))]
    along = start[bond[1]] - start[bond[0]]
    length = float(np.linalg.norm(along))
    moved = _behind(conformers, bond)
    if kind == "dissociation":
        step = STEP
        low, high = (factor * length for factor in DISSOCIATED)
        first = rng.uniform(low, max(low, high - step * (points - 1)))
    else:
        step = STEP / 2  # forces change fast here
        first = rng.uniform(*COMPRESSED) * length
    shifts = (first - length + step * np.arange(points)) / length
    return [start + shift * np.where(moved[:, None], along, 0.0) for shift in shifts]


def approach(pair: Structure, first: int, points: int) -> list[FloatArray]:
    """Positions, Å, of two molecules that part along the line through their centres.

    Args:
        pair: two molecules as close as they come.
        first: how many of its atoms belong to the one that stays.
        points: how many; the pair itself is the first.
    """
    positions = pair.positions
    line = positions[first:].mean(axis=0) - positions[:first].mean(axis=0)
    line /= np.linalg.norm(line)
    moves = (np.arange(len(positions)) >= first)[:, None]
    return [positions + point * STEP * moves * line for point in range(points)]


def _scaled(start: FloatArray, points: int, rng: np.random.Generator) -> list[FloatArray]:
    centred = start - start.mean(axis=0)
    step = min(STEP / float(np.linalg.norm(centred, axis=1).max()), 0.03)
    low, high = SCALED
    first = rng.uniform(low, high - step * (points - 1))
    return [(first + step * point) * centred for point in range(points)]


def _behind(conformers: Conformers, bond: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The atoms ``[N]`` on the far side of a bond that is no part of a ring."""
    reached = np.zeros(len(conformers.numbers), dtype=bool)
    reached[bond[1]] = True
    others = conformers.bonds[(conformers.bonds != bond).any(axis=1)]
    while True:
        touched = others[reached[others].any(axis=1)]
        if reached[touched].all():
            return reached
        reached[touched] = True
