"""Batches: structures side by side that never see each other."""

import numpy as np
import pytest
import torch

from mlffd.structures.batch import collate, in_chunks
from mlffd.structures.neighbours import find_neighbours
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
    assert {tensor.device.type for tensor in vars(moved).values()} == {"meta"}


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        collate([], CUTOFF)


def test_chunks_keep_order_and_limits():
    sizes = [3, 2, 1, 1, 9, 1]
    many = [Structure(np.ones(n), np.zeros((n, 3))) for n in sizes]
    chunks = [[len(s) for s in chunk] for chunk in in_chunks(many, max_atoms=5)]
    assert chunks == [[3, 2], [1, 1], [9], [1]]
    chunks = [[len(s) for s in c] for c in in_chunks(many, max_atoms=100, max_structures=2)]
    assert chunks == [[3, 2], [1, 1], [9, 1]]
    assert list(in_chunks([], max_atoms=5)) == []
