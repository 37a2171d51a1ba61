"""The neighbour list that exported files find themselves is the one that students are given."""

import numpy as np
import pytest
import torch
from ase.build import molecule

from mlffd.export.graph import INPUTS
from mlffd.export.neighbour_graph import molecule_inputs
from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure

CUTOFF = 3.0


def cloud(count):
    positions = np.random.default_rng(count).normal(0.0, 3.0, (count, 3))
    return Structure(numbers=[1] * count, positions=positions)


@pytest.mark.parametrize("count", [1, 2, 3, 9, 60])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_that_of_a_batch_in_the_same_order(count, dtype):
    batch = collate([cloud(count)], CUTOFF, dtype=dtype)

    found = molecule_inputs(batch.numbers, batch.positions, CUTOFF)

    for name, tensor in zip(INPUTS, found, strict=True):
        torch.testing.assert_close(tensor, getattr(batch, name), rtol=0.0, atol=0.0)


def test_atoms_at_the_same_place_are_neighbours_and_none_is_its_own():
    edges = molecule_inputs(torch.tensor([1, 1]), torch.zeros(2, 3), CUTOFF)[2]

    assert edges.tolist() == [[1, 0], [0, 1]]


def test_an_atom_exactly_at_the_cutoff_is_no_neighbour():
    positions = torch.tensor([[0.0, 0, 0], [CUTOFF, 0, 0]])

    assert molecule_inputs(torch.tensor([1, 1]), positions, CUTOFF)[2].shape == (2, 0)


def test_a_position_that_is_not_a_number_cannot_be_overlooked():
    water = Structure.from_atoms(molecule("H2O"))
    positions = torch.tensor(water.positions)
    positions[2] = torch.nan

    edges = molecule_inputs(torch.tensor(water.numbers), positions, CUTOFF)[2]

    assert edges.shape == (2, 6)
