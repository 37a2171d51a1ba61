"""Pairs and cells: molecules stay whole, and are as close as asked."""

import numpy as np
import pytest
from ase.data import vdw_radii
from ase.neighborlist import neighbor_list

from mlffd.distill.packing import cell, pair
from mlffd.structures.structure import Structure

WATER = Structure(
    numbers=np.array([8, 1, 1]),
    positions=np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]]),
)
METHANOL_LIKE = Structure(
    numbers=np.array([6, 8]), positions=np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.43]])
)


def closest_between_molecules(structure: Structure, sizes: list[int]) -> float:
    """Independent of the code under test: ASE's neighbour list, images included."""
    molecule = np.repeat(np.arange(len(sizes)), sizes)
    i, j, distance, image = neighbor_list("ijdS", structure.to_atoms(), cutoff=12.0)
    between = (molecule[i] != molecule[j]) | image.any(axis=1)
    radii = vdw_radii[structure.numbers]
    return float((distance / (radii[i] + radii[j]))[between].min())


@pytest.mark.parametrize("closeness", [0.55, 1.0])
def test_a_pair_is_as_close_as_asked(closeness):
    packed = pair(WATER, METHANOL_LIKE, closeness, np.random.default_rng(0))
    assert closest_between_molecules(packed, [3, 2]) == pytest.approx(closeness, abs=1e-6)


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_a_cell_is_as_dense_as_asked_with_its_images(copies):
    packed = cell([WATER] * copies, 0.8, np.random.default_rng(copies))
    assert packed.pbc.all()
    assert len(packed) == 3 * copies
    assert closest_between_molecules(packed, [3] * copies) == pytest.approx(0.8, abs=1e-6)


def test_molecules_stay_whole():
    packed = cell([WATER] * 4, 0.8, np.random.default_rng(0))
    expected = np.linalg.norm(WATER.positions[:, None] - WATER.positions, axis=2)
    for first in range(0, 12, 3):
        molecule = packed.positions[first : first + 3]
        distances = np.linalg.norm(molecule[:, None] - molecule, axis=2)
        np.testing.assert_allclose(distances, expected, atol=1e-12)


def test_the_same_seed_gives_the_same_cell_and_another_seed_another():
    first, again, other = (cell([WATER] * 2, 0.9, np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(first.positions, again.positions)
    np.testing.assert_array_equal(first.cell, again.cell)
    assert np.abs(first.positions - other.positions).max() > 0.1
