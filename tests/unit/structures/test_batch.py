"""Batches: structures side by side that never see each other."""

from collections import Counter

import numpy as np
import pytest
import torch

import mlffd.structures.batch
from mlffd.structures.batch import Batch, collate, in_chunks
from mlffd.structures.neighbours import Neighbours, find_neighbours
from mlffd.structures.structure import Structure

CUTOFF = 3.0
MOLECULE = Structure([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], name="water")
CRYSTAL = Structure(
    [11, 17], [[0, 0, 0], [1.5, 1.5, 1.5]], cell=[[4, 0, 0], [1, 4, 0], [0, 0, 5]], pbc=[True] * 3
)
SLAB = Structure([6], [[0.1, 0, 0]], cell=np.diag([2.5, 2.5, 0]), pbc=[True, True, False])
ALONE = Structure([2], [[0, 0, 0]])
ALL = [MOLECULE, CRYSTAL, ALONE, SLAB]


def test_neighbours_never_cross_structures():
    """All four lie at the origin: an edge across would be shorter than the cutoff."""
    batch = collate(ALL, CUTOFF)
    source, destination = batch.edge_index
    owner = batch.structure_index
    assert torch.equal(owner[source], owner[destination])
    counts = torch.bincount(owner[destination], minlength=len(ALL)).tolist()
    assert counts == [find_neighbours(s, CUTOFF).edge_index.shape[1] for s in ALL]
    assert counts[2] == 0
    assert min(counts[0], counts[1], counts[3]) > 0


def test_each_structure_is_the_same_as_alone():
    batch = collate(ALL, CUTOFF)
    for index, structure in enumerate(ALL):
        alone = collate([structure], CUTOFF)
        mine = batch.structure_index[batch.edge_index[1]] == index
        assert torch.equal(batch.vectors()[mine], alone.vectors())
        first = int(batch.atom_counts[:index].sum())
        assert torch.equal(batch.edge_index[:, mine] - first, alone.edge_index)


def test_a_vector_points_from_the_destination_to_the_image_of_the_source():
    """A bond across the end of the cell: without its shift, or with the opposite, it is long."""
    bond = Structure([1, 1], [[0.1, 0, 0], [5.8, 0, 0]], cell=6 * np.eye(3), pbc=[True] * 3)
    batch = collate([bond], 1.0)
    assert batch.edge_index.tolist() == [[1, 0], [0, 1]]
    np.testing.assert_allclose(batch.vectors(), [[-0.3, 0, 0], [0.3, 0, 0]], atol=1e-12)


def test_edges_are_sorted_by_destination_across_structures():
    destination = collate(ALL, CUTOFF).edge_index[1]
    assert (destination.diff() >= 0).all()


def test_shapes_and_types():
    batch = collate(ALL, CUTOFF)
    assert len(batch) == 4
    assert batch.atom_counts.tolist() == [3, 2, 1, 1]
    assert batch.structure_index.tolist() == [0, 0, 0, 1, 1, 2, 3]
    assert batch.numbers.tolist() == [8, 1, 1, 11, 17, 2, 6]
    assert batch.pbc.tolist() == [[False] * 3, [True] * 3, [False] * 3, [True, True, False]]
    assert batch.edge_index.dtype == batch.structure_index.dtype == torch.int64


def test_only_what_repeats_in_three_directions_has_a_volume():
    volumes = collate(ALL, CUTOFF).volumes()
    assert volumes[1] == pytest.approx(80.0)
    assert volumes[[0, 2, 3]].isnan().all()


def test_float32_keeps_the_neighbours_found_in_float64():
    double = collate(ALL, CUTOFF)
    single = collate(ALL, CUTOFF, dtype=torch.float32)
    for key in ("positions", "shifts", "cells"):
        assert getattr(single, key).dtype == torch.float32
    assert torch.equal(single.edge_index, double.edge_index)
    torch.testing.assert_close(single.vectors().double(), double.vectors(), atol=1e-5, rtol=0)


def test_without_periodic_boundaries_there_are_no_shifts():
    batch = collate([CRYSTAL], CUTOFF, periodic=False)
    assert not batch.shifts.any()
    assert batch.edge_index.shape[1] < collate([CRYSTAL], CUTOFF).edge_index.shape[1]


def test_a_batch_moves_with_all_of_its_tensors():
    moved = collate(ALL, CUTOFF).to("meta")
    tensors = [value for value in vars(moved).values() if torch.is_tensor(value)]
    assert len(tensors) == 8
    assert all(tensor.is_meta for tensor in tensors)


def test_a_half_list_stays_one_on_another_device():
    assert collate(ALL, CUTOFF, half_list=True).to("meta").half_list
    assert not collate(ALL, CUTOFF).to("meta").half_list


def test_a_batch_is_whole_unless_it_says_otherwise():
    batch = collate(ALL, CUTOFF)
    tensors = {key: value for key, value in vars(batch).items() if torch.is_tensor(value)}
    assert not Batch(**tensors).half_list


#: The cutoff reaches several cells far; atoms are neighbours of their own images.
SKEWED = Structure(
    [14, 14],
    [[0.1, 0.2, 0.3], [7.0, -1.1, 0.9]],
    cell=[[2.0, 0, 0], [1.3, 2.1, 0], [-0.7, 0.9, 2.2]],
    pbc=[True] * 3,
)
#: Their own images lie along y and z, but not along x.
WIRES = Structure([6], [[0, 0, 0]], cell=np.diag([9.0, 2.0, 1.7]), pbc=[False, True, True])


def ends_and_vectors(batch) -> Counter:
    """Edges as plain values, opposite ones exactly opposite; no edge may come twice."""
    rounded = np.round(batch.vectors().numpy(), 9) + 0.0  # no -0.0
    return Counter(zip(*batch.edge_index.tolist(), *rounded.T.tolist(), strict=True))


def opposite(edges: Counter) -> Counter:
    return Counter({(i, j, *(0.0 - x for x in r)): n for (j, i, *r), n in edges.items()})


def halves_make_the_whole(structures) -> bool:
    half = ends_and_vectors(collate(structures, CUTOFF, half_list=True))
    return half + opposite(half) == ends_and_vectors(collate(structures, CUTOFF))


@pytest.mark.parametrize(
    "structures", [[MOLECULE], [CRYSTAL], [SKEWED], [SLAB], [WIRES], [ALONE], [*ALL, SKEWED, WIRES]]
)
def test_a_half_list_keeps_each_opposite_pair_of_edges_exactly_once(structures):
    assert halves_make_the_whole(structures)


def test_of_two_images_of_an_atom_that_with_the_larger_shift_is_kept():
    batch = collate([SKEWED, WIRES], CUTOFF, half_list=True)
    source, destination = batch.edge_index
    shifts = batch.shifts[source == destination]
    first = [next(component for component in shift if component) for shift in shifts.tolist()]
    assert len(first) > 4
    assert min(first) > 0


@pytest.mark.parametrize(
    "fault",
    [
        lambda source, destination, shifts: source >= destination,
        lambda source, destination, shifts: source > destination,
        lambda source, destination, shifts: (
            (source > destination) | ((source == destination) & (shifts[:, 0] > 0))
        ),
    ],
    ids=["images come twice", "images are forgotten", "images along y are forgotten"],
)
def test_wrong_halves_would_be_noticed(monkeypatch, fault):
    def half(neighbours: Neighbours) -> Neighbours:
        kept = fault(*neighbours.edge_index, neighbours.shifts)
        return Neighbours(neighbours.edge_index[:, kept], neighbours.shifts[kept])

    monkeypatch.setattr(mlffd.structures.batch, "_half", half)
    assert halves_make_the_whole([MOLECULE])
    assert not halves_make_the_whole([SKEWED])
    assert not halves_make_the_whole([WIRES])


@pytest.mark.parametrize("seed", range(20))
def test_opposite_shifts_of_any_cell_are_opposite_bit_for_bit(seed):
    """Which of two images is kept rests on that."""
    rng = np.random.default_rng(seed)
    cell = rng.uniform(1.5, 2.5) * np.eye(3) + rng.normal(scale=0.3, size=(3, 3))
    structure = Structure([1], [[0, 0, 0]], cell=cell, pbc=[True] * 3)
    shifts = {tuple(shift) for shift in find_neighbours(structure, 5.0).shifts + 0.0}
    assert len(shifts) > 20
    assert {tuple(0.0 - np.array(shift)) for shift in shifts} == shifts


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="a batch needs at least one"):
        collate([], CUTOFF)


def test_chunks_keep_order_and_limits():
    sizes = [3, 2, 1, 1, 9, 1]
    many = [Structure(np.ones(n), np.zeros((n, 3))) for n in sizes]
    chunks = [[len(s) for s in chunk] for chunk in in_chunks(many, max_atoms=5)]
    assert chunks == [[3, 2], [1, 1], [9], [1]]
    chunks = [[len(s) for s in c] for c in in_chunks(many, max_atoms=100, max_structures=2)]
    assert chunks == [[3, 2], [1, 1], [9, 1]]
    chunks = [[len(s) for s in c] for c in in_chunks(many[:2] * 2, max_atoms=5)]
    assert chunks == [[3, 2], [3, 2]]  # each begins to count anew
    assert list(in_chunks([], max_atoms=5)) == []
