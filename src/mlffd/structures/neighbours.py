"""Neighbour lists: which atoms, and which of their periodic images, lie within the cutoff."""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from vesin import NeighborList

from mlffd.errors import InputError
from mlffd.structures.structure import FloatArray, Structure

IntArray = NDArray[np.int64]

#: Bins of one cutoff's width. vesin 0.6 divides by zero, which ends the process, when more than
#: 10^5 of them must be merged and the structure is much longer in one direction than in another.
_MAX_BINS = 10**5
#: With some directions periodic and others not, vesin compares every bin along the latter with
#: every other: quadratic in the height of a slab.
_MAX_BINS_ACROSS = 100
#: Periodic images are counted in 32 bits; a coordinate has lost its meaning long before.
_MAX_CELLS_AWAY = 10**6
_MAX_IMAGES = 10**6
#: Å; the square of a larger number overflows.
_MAX_COORDINATE = 1e100


class Neighbours(NamedTuple):
    """A full list of directed edges j -> i, sorted by i, then j, then shift.

    Attributes:
        edge_index: int64 ``[2, E]``, row 0 the source j, row 1 the destination i.
        shifts: Å, float64 ``[E, 3]``; the edge vector is ``x_j - x_i + shift``.
    """

    edge_index: IntArray
    shifts: FloatArray


def find_neighbours(structure: Structure, cutoff: float, *, periodic: bool = True) -> Neighbours:
    """All pairs closer than ``cutoff`` Å, with every periodic image that is.

    Positions may lie outside the cell, and the cell may be skewed or smaller than the cutoff.
    Atoms may be far apart, as they are after a simulation has blown up.

    Args:
        structure: where the atoms are.
        cutoff: Å, positive.
        periodic: False ignores the cell, as a student does that knows no periodic boundaries.

    Raises:
        InputError: a position is not finite, or more than 10^6 cells away; or the cell is so
            thin that more than 10^6 of its images lie within the cutoff.
    """
    positions = structure.positions
    if not (np.abs(positions) < _MAX_COORDINATE).all():
        raise InputError(f"{structure.label}: positions must be finite")
    pbc = structure.pbc if periodic else np.zeros(3, dtype=bool)
    cell = _complete_cell(structure.cell, pbc)
    if not len(structure):
        edges, image = np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3), dtype=np.int64)
    elif _is_plain(structure.label, positions, cell, pbc, cutoff):
        destination, source, image = NeighborList(
            cutoff=cutoff, full_list=True, n_threads=1
        ).compute(points=positions, box=cell, periodic=pbc, quantities="ijS")
        edges = np.stack([source, destination]).astype(np.int64)
        image = image.reshape(-1, 3).astype(np.int64)
    else:
        edges, image = _search_tree(positions, cell, pbc, cutoff)
    # Sums in another order differ in the last bits: a fixed order makes results reproducible.
    order = np.lexsort((image[:, 2], image[:, 1], image[:, 0], edges[0], edges[1]))
    return Neighbours(edge_index=edges[:, order], shifts=image[order].astype(np.float64) @ cell)


def _complete_cell(cell: FloatArray | None, pbc: NDArray[np.bool_]) -> FloatArray:
    """Three independent vectors: those that repeat, completed by unit vectors across them.

    A slab often comes with a zero vector, or an arbitrary one, in the direction that does not
    repeat; only its being independent of the others matters.
    """
    if cell is None:
        return np.eye(3)
    completed = np.where(pbc[:, None], cell, 0.0)
    missing = np.flatnonzero(~pbc)
    if len(missing):
        # The last right-singular vectors span the space across the repeating directions.
        completed[missing] = np.linalg.svd(completed[pbc])[2][len(completed) - len(missing) :]
    return completed


def _is_plain(
    label: str, positions: FloatArray, cell: FloatArray, pbc: NDArray[np.bool_], cutoff: float
) -> bool:
    """Whether vesin's bins can hold the structure; refuses what no search can."""
    if not pbc.any():
        return bool(_bins(np.ptp(positions, axis=0), cutoff).prod() <= _MAX_BINS)
    inverse = np.linalg.inv(cell)
    heights = 1 / np.linalg.norm(inverse, axis=0)
    if (2 * cutoff / heights[pbc] + 1).prod() > _MAX_IMAGES:
        raise InputError(f"{label}: the cell is too thin: heights {heights[pbc]} Å")
    fractional = positions @ inverse
    if np.abs(fractional[:, pbc]).max() > _MAX_CELLS_AWAY:
        raise InputError(f"{label}: an atom is more than {_MAX_CELLS_AWAY} cells away")
    # The completing vectors have unit length, so that these coordinates are in Å.
    bins = _bins(np.where(pbc, heights, np.ptp(fractional, axis=0)), cutoff)
    return bool(bins.prod() <= _MAX_BINS and bins[~pbc].prod() <= _MAX_BINS_ACROSS)


def _bins(lengths: FloatArray, cutoff: float) -> FloatArray:
    return np.maximum(lengths / cutoff, 1.0)


def _search_tree(
    positions: FloatArray, cell: FloatArray, pbc: NDArray[np.bool_], cutoff: float
) -> tuple[IntArray, IntArray]:
    """Edges and image numbers by a k-d tree of the atoms and of their images: slower, any extent.

    Returns:
        int64 ``[2, E]`` as in `Neighbours`, and int64 ``[E, 3]``.
    """
    inverse = np.linalg.inv(cell)
    away = np.where(pbc, np.floor(positions @ inverse), 0.0)
    home = positions - away @ cell
    # Inside one cell, fractional coordinates differ by less than one.
    reach = np.where(pbc, np.floor(cutoff * np.linalg.norm(inverse, axis=0)) + 1, 0).astype(int)
    images = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    points = (home[None] + (images @ cell)[:, None]).reshape(-1, 3)
    # A little wider: the distance that decides is the one of the edge vector below.
    found = cKDTree(home).sparse_distance_matrix(
        cKDTree(points), cutoff * (1 + 1e-9), output_type="ndarray"
    )
    number, source = np.divmod(found["j"], len(positions))
    destination = found["i"]
    image = (images[number] + away[destination] - away[source]).astype(np.int64)
    vectors = positions[source] - positions[destination] + image @ cell
    itself = (source == destination) & ~image.any(axis=1)
    near = (np.linalg.norm(vectors, axis=1) < cutoff) & ~itself
    return np.stack([source[near], destination[near]]).astype(np.int64), image[near]
