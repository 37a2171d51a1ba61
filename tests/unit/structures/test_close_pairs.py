"""Pairs of close structures: which are found, and what their forces say of their energies."""

from dataclasses import replace

import numpy as np
import pytest

from mlffd.structures.close_pairs import FURTHEST, find_close_pairs
from mlffd.structures.structure import Structure

DEPTH, STEEPNESS, LENGTH = 4.0, 2.0, 1.1


def morse(length: float, name: str = "") -> Structure:
    """Two atoms along a skew line, with energy and forces of a Morse potential."""
    direction = np.array([1.0, 2.0, 2.0]) / 3
    decay = np.exp(-STEEPNESS * (length - LENGTH))
    slope = 2 * DEPTH * STEEPNESS * (1 - decay) * decay
    return Structure(
        numbers=np.array([6, 8]),
        positions=np.array([np.zeros(3), length * direction]),
        energy=DEPTH * (1 - decay) ** 2,
        forces=np.array([slope * direction, -slope * direction]),
        name=name or f"co/{length:.2f}",
    )


def names(pairs):
    return [(pair.first, pair.second) for pair in pairs]


def test_neighbouring_points_of_a_scan_are_paired():
    scan = [morse(length) for length in (1.0, 1.1, 1.2, 1.4)]
    assert names(find_close_pairs(scan)) == [("co/1.00", "co/1.10"), ("co/1.10", "co/1.20")]


def test_the_forces_tell_the_change_of_energy():
    (pair,) = find_close_pairs([morse(1.2), morse(1.3)])
    assert pair.change == pytest.approx(morse(1.3).energy - morse(1.2).energy)
    assert pair.work == pytest.approx(pair.change, rel=0.03)
    assert pair.work != pair.change
    assert pair.displacement == pytest.approx(0.1)
    assert pair.stretch == pytest.approx(0.1)


@pytest.mark.parametrize("length", [1.1, 1.2])
def test_the_bend_is_what_forces_at_one_end_alone_would_be_off_by(length):
    """At 1.1 Å, the minimum, there is no force: there all of the work is what it grows to."""
    first, second = morse(length), morse(length + 0.1)
    (pair,) = find_close_pairs([first, second])
    alone = -np.sum(first.forces * (second.positions - first.positions))
    assert pair.bend == pytest.approx(abs(pair.work - alone))
    assert pair.bend > 0.01


def test_a_force_across_the_way_bends_nothing():
    first = morse(1.1)
    forces = np.array([[1.0, -1.0, 0.0], [0.0, 2.0, -2.0]])
    moves = np.array([[0.05, 0.05, 0.0], [0.0, 0.02, 0.02]])
    second = replace(first, positions=first.positions + moves, forces=forces)
    (pair,) = find_close_pairs([replace(first, forces=np.zeros((2, 3))), second])
    assert (pair.bend, pair.work) == pytest.approx((0.0, 0.0))


@pytest.mark.parametrize(("length", "stretch"), [(2.8, 0.1), (3.2, 0.0)])
def test_only_neighbours_stretch(length, stretch):
    (pair,) = find_close_pairs([morse(length), morse(length + 0.1)])
    assert pair.displacement == pytest.approx(0.1)
    assert pair.stretch == pytest.approx(stretch)


def test_moving_a_molecule_as_a_whole_stretches_nothing():
    first = morse(1.1)
    (pair,) = find_close_pairs([first, replace(first, positions=first.positions + 0.05)])
    assert pair.displacement == pytest.approx(0.05 * 3**0.5)
    assert pair.stretch == pytest.approx(0.0)


def test_atoms_that_move_too_far_are_not_paired():
    assert find_close_pairs([morse(1.1), morse(1.1 + 1.01 * FURTHEST)]) == []
    assert len(find_close_pairs([morse(1.1), morse(1.1 + 0.99 * FURTHEST)])) == 1


def test_far_along_the_diagonal_is_too_far():
    """Along each axis the atom moves by less than is allowed."""
    first = morse(1.1)
    moved = first.positions + np.array([[0.0], [0.1]])
    assert find_close_pairs([first, replace(first, positions=moved)]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": np.array([8, 6])},
        {"cell": 5 * np.eye(3), "pbc": np.ones(3, dtype=bool)},
        {"energy": None},
        {"energy": float("nan")},
        {"forces": np.array([[0, 0, 0], [0, 0, np.inf]])},
        {"positions": np.array([[0, 0, 0], [0, 0, np.nan]])},
    ],
    ids=["atoms", "cell", "no energy", "energy", "forces", "positions"],
)
def test_what_cannot_be_compared_is_not(change):
    assert find_close_pairs([morse(1.1), replace(morse(1.12), **change)]) == []


def test_cells_are_compared_with_cells_of_the_same_shape():
    cells = [
        replace(morse(length), cell=size * np.eye(3), pbc=np.ones(3, dtype=bool))
        for length, size in [(1.1, 5.0), (1.2, 5.0), (1.2, 5.1)]
    ]
    assert names(find_close_pairs(cells)) == [("co/1.10", "co/1.20")]


def test_one_atom_is_enough_and_none_is_not():
    atom = Structure([2], [[0, 0, 0]], energy=0.0, forces=np.zeros((1, 3)), name="a")
    (pair,) = find_close_pairs([atom, replace(atom, positions=np.full((1, 3), 0.05), name="b")])
    assert (pair.first, pair.second, pair.stretch) == ("a", "b", 0.0)
    none = Structure([], np.zeros((0, 3)), energy=0.0, forces=np.zeros((0, 3)))
    assert find_close_pairs([none, none]) == []


def test_in_a_row_each_is_paired_with_its_two_nearest():
    row = [morse(1.0 + 0.04 * k, name=str(k)) for k in range(6)]
    ends = [("0", "2"), ("3", "5")]
    neighbours = [(str(k), str(k + 1)) for k in range(5)]
    assert sorted(names(find_close_pairs(row))) == sorted(ends + neighbours)


def test_of_many_close_ones_each_is_paired_with_a_few():
    crowd = [morse(1.1 + 0.001 * k, name=str(k)) for k in range(100)]
    found = find_close_pairs(crowd)
    assert {name for pair in names(found) for name in pair} == {str(k) for k in range(100)}
    assert len(found) < 250


def test_the_same_structure_twice_is_a_pair():
    """With different energies it is the clearest contradiction there can be."""
    (pair,) = find_close_pairs([morse(1.1), replace(morse(1.1), energy=3.0)])
    assert (pair.change, pair.work) == (3.0, 0.0)
