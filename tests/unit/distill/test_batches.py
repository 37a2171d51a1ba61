"""Batches taken from a store are those that collating the structures anew would give."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from training_samples import CELLS, TRAIN, lone_atom

from mlffd.distill.batches import LabelledGraphs
from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure

CUTOFF = 5.0

#: Small enough that atoms are neighbours of their own images.
CRYSTAL = Structure(
    numbers=[8, 1],
    positions=[[0.1, 0.2, 0.3], [1.4, 1.3, 1.2]],
    cell=2.8 * np.eye(3) + 0.2,
    pbc=[True, True, True],
    energy=-2056.0,
    forces=[[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]],
    stress=np.full((3, 3), 0.01),
)
STRUCTURES = [TRAIN[0], CELLS[0], lone_atom(8), TRAIN[1], CRYSTAL, TRAIN[2]]
GRAPHS = LabelledGraphs(STRUCTURES, CUTOFF)


@pytest.mark.parametrize("chosen", [[0], [5, 0, 3], [2], [3, 2, 0], [4, 1], [4]])
def test_a_selection_equals_what_collate_makes_of_the_same_structures(chosen):
    structures = [STRUCTURES[k] for k in chosen]
    found = GRAPHS.select(np.array(chosen))
    expected = collate(structures, CUTOFF, dtype=torch.float32, half_list=True)
    for field in fields(expected):
        one, other = (getattr(batch, field.name) for batch in (found.batch, expected))
        if field.name == "half_list":
            assert one is other is True
            continue
        assert one.dtype == other.dtype, field.name
        assert torch.equal(one, other), field.name


def test_labels_go_with_their_structures():
    chosen = [3, 0]
    batch = GRAPHS.select(np.array(chosen))
    assert batch.energies.dtype == torch.float64
    assert batch.energies.tolist() == [STRUCTURES[k].energy for k in chosen]
    forces = np.concatenate([STRUCTURES[k].forces for k in chosen])
    np.testing.assert_array_equal(batch.forces, forces.astype(np.float32))
    assert batch.stresses is None
    assert not batch.periodic


def test_cells_bring_their_stresses():
    batch = GRAPHS.select(np.array([4, 1]))
    assert batch.periodic
    expected = np.stack([CRYSTAL.stress, CELLS[0].stress])
    np.testing.assert_array_equal(batch.stresses, expected.astype(np.float32))


def test_a_batch_moves_as_a_whole():
    moved = GRAPHS.select(np.array([4])).to("meta")
    tensors = [moved.energies, moved.forces, moved.stresses]
    tensors += [value for value in vars(moved.batch).values() if torch.is_tensor(value)]
    assert len(tensors) == 11
    assert all(tensor.is_meta for tensor in tensors)
