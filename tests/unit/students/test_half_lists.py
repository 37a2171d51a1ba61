"""One edge for each pair of neighbours, used both ways, gives what two edges give."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule

from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure

ETHANOL = Structure.from_atoms(molecule("CH3CH2OH"), name="ethanol")
CO2 = Structure([8, 6, 8], [[0, 0, -1.16], [0, 0, 0], [0, 0, 1.16]], name="CO2")
LONE_ATOM = Structure([6], np.zeros((1, 3)), name="C")
#: The cutoff of 5 Å reaches several cells far; atoms are neighbours of their own images.
SKEWED = Structure(
    [8, 1],
    [[0.1, 0.2, 0.3], [7.0, -1.1, 0.9]],
    cell=[[2.4, 0, 0], [1.3, 2.6, 0], [-0.7, 0.9, 2.5]],
    pbc=[True] * 3,
    name="skewed",
)
OWN_NEIGHBOUR = Structure(
    [14], [[0, 0, 0]], cell=2.7 * (np.ones((3, 3)) - np.eye(3)), pbc=[True] * 3, name="silicon"
)
SLAB = Structure(
    [6, 1], [[0.1, 0, 0], [0.3, 0.2, 1.1]], cell=np.diag([2.5, 2.6, 0]), pbc=[True, True, False]
)
CELLS = [SKEWED, OWN_NEIGHBOUR]
MIXED = [ETHANOL, SKEWED, LONE_ATOM, SLAB, OWN_NEIGHBOUR]


def both(student, structures, *, dtype=torch.float64):
    """The full list and the half of it."""
    periodic = student.honours_cells
    return [
        collate(structures, student.cutoff, dtype=dtype, periodic=periodic, half_list=half)
        for half in (False, True)
    ]


def assert_same(found, expected, *, atol):
    torch.testing.assert_close(found.energy, expected.energy, atol=atol, rtol=0)
    torch.testing.assert_close(found.forces, expected.forces, atol=atol, rtol=0)
    if expected.stress is not None:
        torch.testing.assert_close(found.stress, expected.stress, atol=atol, rtol=0, equal_nan=True)


@pytest.mark.parametrize("revision", [1, 2])
@pytest.mark.parametrize("structures", [[ETHANOL], [LONE_ATOM], CELLS, [SLAB], MIXED])
def test_energy_forces_and_stress_are_those_of_the_full_list(make_student, structures, revision):
    student = make_student(revision=revision).double()
    full, half = both(student, structures)
    assert 2 * half.edge_index.shape[1] == full.edge_index.shape[1]

    expected = student(full, stress=revision > 1)
    found = student(half, stress=revision > 1)

    assert_same(found, expected, atol=1e-12)


def test_vectors_that_cancel_do_so_in_either_list(make_student):
    """In revision 1 rounding decides there, see the kink of its norm."""
    student = make_student().double()
    full, half = both(student, [CO2])

    assert_same(student(half), student(full), atol=1e-12)


def test_in_float32_they_agree_as_well_as_float32_can(make_student):
    student = make_student()
    full, half = both(student, MIXED, dtype=torch.float32)

    assert_same(student(half, stress=True), student(full, stress=True), atol=2e-5)


@pytest.mark.parametrize("structures", [[ETHANOL, CO2, LONE_ATOM], CELLS])
def test_a_loss_has_the_same_gradient(make_student, structures):
    student = make_student().double()
    gradients = []
    for batch in both(student, structures):
        found = student(batch, stress=structures is CELLS, create_graph=True)
        loss = (found.forces**3).sum() + found.energy.sum()
        if found.stress is not None:
            loss = loss + (found.stress**2).sum()
        gradients.append(torch.autograd.grad(loss, list(student.parameters())))

    for full, half in zip(*gradients, strict=True):
        torch.testing.assert_close(half, full, atol=1e-11, rtol=1e-9)


def test_lists_that_are_taken_for_what_they_are_not_would_be_noticed(make_student):
    student = make_student().double()
    full, half = both(student, [ETHANOL])
    expected = student(full)

    for wrong in (replace(full, half_list=True), replace(half, half_list=False)):
        assert (student(wrong).forces - expected.forces).abs().max() > 1e-3
