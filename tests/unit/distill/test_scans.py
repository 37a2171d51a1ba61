"""Scans: one thing changes, by steps that forces can account for."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from molecule_samples import LENGTH, chain

from mlffd.distill.scans import STEP, approach, scan
from mlffd.structures.structure import Structure


def scans(molecule, count: int = 40):
    for seed in range(count):
        yield scan(molecule, molecule.minima[0], 5, np.random.default_rng(seed))


def lengths(positions: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(positions, axis=0), axis=1)


def test_consecutive_points_are_close_and_all_different():
    for points in scans(chain(5)):
        assert len(points) == 5
        for first, second in pairwise(points):
            moved = np.linalg.norm(second - first, axis=1).max()
            assert 0.01 < moved <= STEP + 1e-9


def test_either_one_bond_changes_or_all_in_proportion():
    for points in scans(chain(5)):
        changed = [~np.isclose(lengths(positions), LENGTH) for positions in points]
        if any(change.sum() > 1 for change in changed):
            for positions in points:
                assert np.ptp(lengths(positions)) < 1e-9
        else:
            assert len({int(change.argmax()) for change in changed if change.any()}) == 1


def test_bonds_are_pressed_and_pulled_apart():
    factors = np.concatenate([lengths(p) / LENGTH for points in scans(chain(5)) for p in points])
    assert 0.74 < factors.min() < 0.85
    assert 1.7 < factors.max() < 2.01


def test_no_bond_of_a_ring_is_pulled_apart():
    """One atom outside of a triangle: the ring keeps its shape unless all of it is scaled."""
    corner = np.array([[0.0, 0, 0], [1.5, 0, 0], [0.75, 1.3, 0], [-1.5, 0, 0]])
    ring = replace(
        chain(4),
        bonds=np.array([(0, 1), (1, 2), (2, 0), (3, 0)]),
        is_bridge=np.array([False, False, False, True]),
        minima=[corner],
    )
    for points in scans(ring):
        for positions in points:
            sides = [np.linalg.norm(positions[i] - positions[j]) for i, j in ring.bonds[:3]]
            factor = sides / np.array(
                [1.5, np.linalg.norm(corner[2] - corner[1]), np.linalg.norm(corner[2])]
            )
            assert np.ptp(factor) < 1e-9


def test_a_molecule_of_rings_only_is_scaled():
    ring = replace(chain(3), is_bridge=np.zeros(2, dtype=bool))
    for points in scans(ring, 5):
        assert all(np.ptp(lengths(positions)) < 1e-9 for positions in points)


def test_molecules_part_along_the_line_through_their_centres():
    numbers = np.array([1, 1, 8, 8])
    positions = np.array([[0.0, 0, 0], [0, 0, 1], [3, 0, 0], [3, 0, 1.2]])
    points = approach(Structure(numbers=numbers, positions=positions), 2, 4)
    np.testing.assert_array_equal(points[0], positions)
    for first, second in pairwise(points):
        np.testing.assert_allclose(second[:2], first[:2])
        moved = second[2:] - first[2:]
        assert np.linalg.norm(moved, axis=1) == pytest.approx([STEP, STEP])
        assert moved[0, 0] > 0.9 * STEP
