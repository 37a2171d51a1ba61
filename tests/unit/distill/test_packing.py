"""Pairs and cells: molecules stay whole, and are as close as asked."""

import numpy as np
import pytest
from ase import units
from ase.data import vdw_radii
from ase.neighborlist import neighbor_list

from mlffd.distill.packing import crystal, liquid, pair, strained
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
    packed = crystal(WATER, copies, 0.8, np.random.default_rng(copies))
    assert packed.pbc.all()
    assert len(packed) == 3 * copies
    assert closest_between_molecules(packed, [3] * copies) == pytest.approx(0.8, abs=1e-6)


@pytest.fixture(scope="module")
def box() -> Structure:
    """Six molecules of water and two of something else."""
    return liquid([WATER, WATER, WATER, METHANOL_LIKE] * 2, 0.75, np.random.default_rng(0))


def test_a_liquid_keeps_the_distance_that_is_asked_for(box):
    assert closest_between_molecules(box, [3, 3, 3, 2] * 2) >= 0.75


def test_a_liquid_is_condensed_and_cubic(box):
    atoms = box.to_atoms()
    assert box.pbc.all()
    np.testing.assert_allclose(box.cell, box.cell[0, 0] * np.eye(3))
    density = atoms.get_masses().sum() / atoms.get_volume() / units.kg * units.m**3  # kg/m³
    assert 700 < density < 1600


def shape(positions: np.ndarray) -> np.ndarray:
    return np.linalg.norm(positions[:, None] - positions, axis=2)


def test_molecules_stay_whole(box):
    packed = crystal(WATER, 4, 0.8, np.random.default_rng(0))
    for first in range(0, 12, 3):
        molecule = packed.positions[first : first + 3]
        np.testing.assert_allclose(shape(molecule), shape(WATER.positions), atol=1e-12)
    first = 0
    for original in [WATER, WATER, WATER, METHANOL_LIKE] * 2:
        molecule = box.positions[first : first + len(original)]
        np.testing.assert_allclose(shape(molecule), shape(original.positions), atol=1e-9)
        first += len(original)


def test_the_same_seed_gives_the_same_cell_and_another_seed_another():
    for make in (
        lambda rng: crystal(WATER, 2, 0.9, rng),
        lambda rng: liquid([WATER] * 3, 0.9, rng),
    ):
        first, again, other = (make(np.random.default_rng(seed)) for seed in (5, 5, 6))
        np.testing.assert_array_equal(first.positions, again.positions)
        np.testing.assert_array_equal(first.cell, again.cell)
        assert np.abs(first.positions - other.positions).max() > 0.1


def test_a_strained_copy_is_another_cell_of_the_same_atoms():
    packed = crystal(WATER, 2, 0.9, np.random.default_rng(0))
    copy = strained(packed, np.random.default_rng(1))
    np.testing.assert_array_equal(copy.numbers, packed.numbers)
    strain = np.linalg.solve(packed.cell, copy.cell) - np.eye(3)
    np.testing.assert_allclose(strain, strain.T, atol=1e-12)
    assert 0.005 < np.abs(strain).max() < 0.12
    fractions = [x.positions @ np.linalg.inv(x.cell) for x in (packed, copy)]
    moved = (fractions[1] - fractions[0]) @ copy.cell
    assert 0.005 < np.abs(moved).max() < 0.2
