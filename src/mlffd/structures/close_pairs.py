"""Pairs of structures so close together that the forces of both tell how their energies differ."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from mlffd.structures.neighbours import find_neighbours
from mlffd.structures.structure import FloatArray, Structure

#: Å, by which an atom may move between the two: an average of forces is no good over more.
FURTHEST = 0.15
#: Å, within which atoms are bonded, or as good as that.
_BONDED = 3.0
#: Of each structure, so many of the nearest: both sides of a point in a scan.
_NEAREST = 2


@dataclass(frozen=True)
class ClosePair:
    """Two structures of the same atoms, in the same order and cell.

    Attributes:
        first: name of one.
        second: name of the other.
        displacement: Å, of the atom that moves furthest.
        stretch: Å, the largest change of a vector between two atoms within 3 Å.
        change: eV, by which the energy label of the second is higher.
        work: eV, what the forces make of that, by the trapezoidal rule:
            ``-(F1 + F2) / 2 . (x2 - x1)``.
        bend: eV, half the sum over atoms of ``|(F2 - F1) . (x2 - x1)|``: how far off the rule
            would be if it had used the forces at one end alone.
    """

    first: str
    second: str
    displacement: float
    stretch: float
    change: float
    work: float
    bend: float


def find_close_pairs(structures: Iterable[Structure]) -> list[ClosePair]:
    """Pair each structure with its nearest ones, if there are any, without turning or wrapping.

    Structures without finite positions, energy and forces are left out. Takes the time of a
    search among structures of the same atoms, not among all.
    """
    groups: dict[bytes, list[Structure]] = {}
    for structure in structures:
        if _is_usable(structure):
            cell = b"" if structure.cell is None else structure.cell.tobytes()
            key = b"".join((structure.numbers.tobytes(), structure.pbc.tobytes(), cell))
            groups.setdefault(key, []).append(structure)
    return [pair for group in groups.values() if len(group) > 1 for pair in _pairs(group)]


def _is_usable(structure: Structure) -> bool:
    return (
        len(structure) > 0
        and structure.energy is not None
        and structure.forces is not None
        and np.isfinite(structure.energy)
        and bool(np.isfinite(structure.forces).all() and np.isfinite(structure.positions).all())
    )


def _pairs(group: list[Structure]) -> list[ClosePair]:
    points = np.array([structure.positions for structure in group])
    flat = points.reshape(len(group), -1)
    _, nearest = KDTree(flat).query(
        flat, k=min(_NEAREST + 1, len(group)), p=np.inf, distance_upper_bound=FURTHEST
    )
    # Where there is none the index is one too large; each is its own nearest.
    indices = sorted(
        {
            (min(i, int(j)), max(i, int(j)))
            for i, row in enumerate(nearest)
            for j in row
            if j not in (i, len(group))
        }
    )
    # The search was along each axis.
    return [
        _pair(group[i], group[j])
        for i, j in indices
        if np.linalg.norm(points[i] - points[j], axis=-1).max() <= FURTHEST
    ]


def _pair(first: Structure, second: Structure) -> ClosePair:
    assert first.energy is not None and first.forces is not None
    assert second.energy is not None and second.forces is not None
    moves = second.positions - first.positions
    (sources, destinations), _ = find_neighbours(first, _BONDED)
    stretches = np.linalg.norm(moves[sources] - moves[destinations], axis=1)
    return ClosePair(
        first=first.name,
        second=second.name,
        displacement=float(np.linalg.norm(moves, axis=1).max()),
        stretch=float(stretches.max(initial=0.0)),
        change=second.energy - first.energy,
        work=-0.5 * float(((first.forces + second.forces) * moves).sum()),
        bend=0.5 * float(np.abs(_along(second.forces - first.forces, moves)).sum()),
    )


def _along(forces: FloatArray, moves: FloatArray) -> FloatArray:
    """Of each atom, force times way, ``[N]``."""
    product: FloatArray = (forces * moves).sum(axis=1)
    return product
