"""Neighbour lists against two oracles: explicit images, and matscipy."""

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matscipy.neighbours import neighbour_list

from mlffd.errors import InputError
from mlffd.structures import neighbours
from mlffd.structures.neighbours import find_neighbours
from mlffd.structures.structure import Structure

EDGE = 1e-9  # Å; nearer to the cutoff than this, rounding decides


def by_explicit_images(structure, cutoff):
    """``{(j, i, shift): distance}`` by trying every image that could matter."""
    cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
    reach = [0, 0, 0]
    if structure.pbc.any():
        inverse = np.linalg.pinv(np.where(structure.pbc[:, None], cell, 0.0))
        spread = np.ptp(structure.positions @ inverse, axis=0)
        most = np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + spread)
        reach = np.where(structure.pbc, most, 0).astype(int)
    found = {}
    for image in itertools.product(*(range(-n, n + 1) for n in reach)):
        shift = np.array(image) @ np.where(structure.pbc[:, None], cell, 0.0)
        for i, j in itertools.product(range(len(structure)), repeat=2):
            if i == j and not any(image):
                continue
            vector = structure.positions[j] - structure.positions[i] + shift
            distance = float(np.linalg.norm(vector))
            if distance < cutoff + EDGE:
                found[(j, i, *np.round(shift, 6) + 0.0)] = distance
    return found


def as_edges(result):
    shifts = np.round(result.shifts, 6) + 0.0
    return [(j, i, *s) for j, i, s in zip(*result.edge_index.tolist(), shifts, strict=True)]


def assert_same_edges(edges, oracle, cutoff):
    assert len(edges) == len(set(edges))
    assert set(edges) <= set(oracle)
    assert {edge for edge, d in oracle.items() if d < cutoff - EDGE} <= set(edges)


@st.composite
def structures(draw, *, pbc=None):
    """Up to 5 atoms, inside and far outside of skewed cells of 1 to 6 Å."""
    skew = st.floats(-4, 4).map(lambda x: round(x, 3))
    length = st.floats(1.2, 6).map(lambda x: round(x, 3))
    cell = np.array(
        [
            [draw(length), 0, 0],
            [draw(skew), draw(length), 0],
            [draw(skew), draw(skew), draw(length)],
        ]
    )
    coordinate = st.floats(-9, 9).map(lambda x: round(x, 3))
    count = draw(st.integers(1, 5))
    positions = [[draw(coordinate) for _ in range(3)] for _ in range(count)]
    pbc = pbc or [draw(st.booleans()) for _ in range(3)]
    return Structure(np.full(count, 6), positions, cell=cell, pbc=pbc)


cutoffs = st.floats(0.5, 5).map(lambda x: round(x, 3))


@given(structures(), cutoffs)
def test_all_images_within_the_cutoff_are_found_and_nothing_else(structure, cutoff):
    found = find_neighbours(structure, cutoff)
    assert_same_edges(as_edges(found), by_explicit_images(structure, cutoff), cutoff)


@given(structures(), cutoffs)
def test_the_search_for_unusual_structures_finds_the_same_edges(structure, cutoff):
    usual = find_neighbours(structure, cutoff)
    with mock.patch.object(neighbours, "_is_plain", return_value=False):
        unusual = find_neighbours(structure, cutoff)
    np.testing.assert_array_equal(unusual.edge_index, usual.edge_index)
    np.testing.assert_allclose(unusual.shifts, usual.shifts, atol=1e-12)


@given(structures(pbc=(True, True, True)), cutoffs)
def test_matscipy_finds_as_many_neighbours_at_the_same_distances(structure, cutoff):
    found = find_neighbours(structure, cutoff)
    source, destination = found.edge_index
    vectors = structure.positions[source] - structure.positions[destination] + found.shifts
    distances = np.linalg.norm(vectors, axis=1)
    i, j, expected = neighbour_list(
        "ijd",
        cutoff=cutoff,
        positions=structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
        numbers=structure.numbers.astype(np.int32),
    )
    assume((np.abs(distances - cutoff) > EDGE).all())
    assume((np.abs(expected - cutoff) > EDGE).all())
    ours = sorted(zip(destination.tolist(), source.tolist(), np.round(distances, 8), strict=True))
    theirs = sorted(zip(i.tolist(), j.tolist(), np.round(expected, 8), strict=True))
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


@given(structures(), cutoffs)
def test_edges_are_sorted_by_destination_then_source_and_come_in_pairs(structure, cutoff):
    found = find_neighbours(structure, cutoff)
    source, destination = found.edge_index.tolist()
    keys = list(zip(destination, source, strict=True))
    assert keys == sorted(keys)
    edges = set(as_edges(found))
    assert {(i, j, *(-np.array(s) + 0.0)) for j, i, *s in edges} == edges


@given(structures(), cutoffs)
def test_source_minus_destination_plus_shift_is_shorter_than_the_cutoff(structure, cutoff):
    found = find_neighbours(structure, cutoff)
    source, destination = found.edge_index
    vectors = structure.positions[source] - structure.positions[destination] + found.shifts
    assert (np.linalg.norm(vectors, axis=1) < cutoff + EDGE).all()


def test_the_edge_vector_points_from_the_destination_to_the_source():
    """A swap of the two rows would pass every symmetric test; a bond across the cell shows it."""
    structure = Structure(
        [1, 1], [[0.1, 0, 0], [5.8, 0, 0]], cell=np.diag([6.0, 6, 6]), pbc=[True] * 3
    )
    found = find_neighbours(structure, 1.0)
    assert found.edge_index.tolist() == [[1, 0], [0, 1]]
    np.testing.assert_array_equal(found.shifts, [[-6, 0, 0], [6, 0, 0]])


def test_ignoring_the_cell_leaves_the_bare_molecule():
    structure = Structure([1, 1], [[0, 0, 0], [0, 0, 1]], cell=np.eye(3) * 2, pbc=[True] * 3)
    assert find_neighbours(structure, 1.5).edge_index.shape[1] > 2
    bare = find_neighbours(structure, 1.5, periodic=False)
    assert bare.edge_index.tolist() == [[1, 0], [0, 1]]
    assert not bare.shifts.any()


@pytest.mark.parametrize("third", [[0, 0, 0], [0, 0, 30], [1, 1, 0]])
def test_the_vector_across_a_slab_does_not_matter(third):
    cell = [[2.5, 0, 0], [1.2, 2.5, 0], third]
    slab = Structure([6, 6], [[0, 0, 0], [1, 1, 7]], cell=cell, pbc=[True, True, False])
    oracle = by_explicit_images(slab, 4.0)
    assert len(oracle) > 8
    assert_same_edges(as_edges(find_neighbours(slab, 4.0)), oracle, 4.0)


def test_one_atom_sees_its_own_images_and_alone_nobody():
    crystal = Structure([29], [[7.0, -3, 2]], cell=np.eye(3) * 2, pbc=[True] * 3)
    assert find_neighbours(crystal, 2.1).edge_index.shape == (2, 6)
    alone = find_neighbours(Structure([29], [[7.0, -3, 2]]), 2.1)
    assert alone.edge_index.shape == (2, 0)
    assert alone.shifts.shape == (0, 3)
    nobody = find_neighbours(Structure([], np.zeros((0, 3))), 2.1)
    assert nobody.edge_index.shape == (2, 0)


@pytest.mark.parametrize("plain", [True, False])
def test_the_cutoff_itself_is_outside(monkeypatch, plain):
    """By either search."""
    monkeypatch.setattr(neighbours, "_is_plain", lambda *_: plain)
    pair = Structure([1, 1], [[0, 0, 0], [2, 0, 0]])
    assert find_neighbours(pair, 2.0).edge_index.shape == (2, 0)
    assert find_neighbours(pair, 2.0 + 1e-12).edge_index.shape == (2, 2)


@pytest.mark.parametrize(
    "positions",
    [
        [[1e4, 0, 0], [0, 1e4, 0], [0, 1e4, 1]],  # a flat sheet: vesin divides by zero
        [[1e9, 0, 0], [0, 1e9, 0], [0, 1e9, 1]],
        [[1e30, -1e30, 0], [0, 1e9, 0], [0, 1e9, 1]],
    ],
)
def test_atoms_that_flew_apart_do_not_end_the_process(positions):
    found = find_neighbours(Structure([1, 1, 1], positions), 1.5)
    assert found.edge_index.tolist() == [[2, 1], [1, 2]]


def test_an_atom_far_above_a_slab_does_not_take_forever():
    slab = Structure(
        [6, 6], [[0, 0, 0], [0, 0, 1e5]], cell=np.diag([2.0, 2, 0]), pbc=[True, True, False]
    )
    assert find_neighbours(slab, 2.5).edge_index.shape == (2, 8)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200, 1e100])
def test_positions_that_are_not_finite_are_refused(value):
    with pytest.raises(InputError, match="blown: positions must be finite"):
        find_neighbours(Structure([1, 1], [[0, 0, 0], [0, 0, value]], name="blown"), 2.0)


def test_an_atom_beyond_counting_in_cells_is_refused_rather_than_misplaced():
    far = Structure([1], [[1e10, 0, 0]], cell=np.eye(3), pbc=[True] * 3)
    with pytest.raises(InputError, match="cells away"):
        find_neighbours(far, 2.0)


def test_limits_are_as_the_errors_tell_them():
    pbc, cell = np.ones(3, dtype=bool), np.eye(3)

    def is_plain(x, cutoff):
        return neighbours._is_plain("far", np.array([[x, 0.0, 0.0]]), cell, pbc, cutoff)

    assert is_plain(10**6, 2.0)
    with pytest.raises(InputError, match="more than 1000000 cells away"):
        is_plain(10**6 + 1, 2.0)
    assert is_plain(0.0, 49.5)  # 100 images along each vector
    with pytest.raises(InputError, match="too thin"):
        is_plain(0.0, 49.6)


def test_usual_structures_are_left_to_the_faster_search(monkeypatch):
    monkeypatch.setattr(neighbours, "_search_tree", lambda *_: pytest.fail("the slow one"))
    lattice = 2.5 * np.array(list(itertools.product(range(4), repeat=3)), dtype=float)
    numbers = np.full(len(lattice), 29)
    assert len(find_neighbours(Structure(numbers, lattice), 2.6).shifts) == 2 * 3 * 3 * 16
    for pbc in ([True] * 3, [True, True, False]):
        crystal = Structure(numbers, lattice, cell=10 * np.eye(3), pbc=pbc)
        across = 64 if pbc[2] else 48
        assert len(find_neighbours(crystal, 2.6).shifts) == 2 * (64 + 64 + across)
    # A large molecule is usual, too: 100 Å across, with a long cutoff.
    chain = np.outer(np.arange(50), [2.0, 0.1, 0.1])
    assert len(find_neighbours(Structure(np.full(50, 6), chain), 8.0).shifts) == 288


@pytest.mark.parametrize("plain", [True, False])
def test_images_of_a_skewed_cell_are_found_and_sorted(monkeypatch, plain):
    """Along the first vector they reach further than its length says."""
    monkeypatch.setattr(neighbours, "_is_plain", lambda *_: plain)
    cell = np.array([[2.0, 0, 0], [4.0, 2.0, 0], [0, 0, 2.0]])
    skewed = Structure([29], [[0.1, 0.2, 0.3]], cell=cell, pbc=[True] * 3)
    found = find_neighbours(skewed, 5.0)
    assert_same_edges(as_edges(found), by_explicit_images(skewed, 5.0), 5.0)
    images = np.rint(found.shifts @ np.linalg.inv(cell)).astype(int).tolist()
    assert min(images)[0] == -5
    assert images == sorted(images)


def test_images_of_a_cell_much_smaller_than_the_cutoff_are_all_found(monkeypatch):
    small = Structure([29], [[0.1, 0.2, 0.3]], cell=0.5 * np.eye(3), pbc=[True] * 3)
    expected = by_explicit_images(small, 2.1)
    for plain in (True, False):
        monkeypatch.setattr(neighbours, "_is_plain", lambda *_, plain=plain: plain)
        assert_same_edges(as_edges(find_neighbours(small, 2.1)), expected, 2.1)
    assert len(expected) > 250


def test_a_cell_with_millions_of_images_is_refused():
    thin = Structure([1], [[0, 0, 0]], cell=np.eye(3) * 1e-3, pbc=[True] * 3)
    with pytest.raises(InputError, match="too thin"):
        find_neighbours(thin, 2.0)
