"""One structure: its conversions, its refusals and its way to ASE and back."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mlffd.errors import InputError
from mlffd.structures.structure import Structure

WATER = {"numbers": [8, 1, 1], "positions": [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]}
STRESS = np.array([[0.1, 0.4, 0.5], [0.4, 0.2, 0.6], [0.5, 0.6, 0.3]])


def test_lists_become_arrays_of_fixed_types():
    structure = Structure(**WATER)
    assert structure.numbers.dtype == np.int64
    assert structure.positions.dtype == np.float64
    assert len(structure) == 3
    assert not structure.is_periodic


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("positions", np.zeros((2, 3))),
        ("forces", np.zeros((3, 2))),
        ("cell", np.eye(2)),
        ("pbc", [True]),
        ("stress", np.zeros(6)),
    ],
)
def test_a_wrong_shape_is_refused_by_name(key, value):
    with pytest.raises(InputError, match=f"water: {key} has shape"):
        Structure(**{**WATER, key: value}, name="water")


@pytest.mark.parametrize(
    "cell",
    [
        None,
        np.diag([5.0, 5.0, 0.0]),
        [[5, 0, 0], [0, 5, 0], [5, 5, 0]],  # flat, though no vector is zero
        np.full((3, 3), np.nan),
        [[5, 0, 0], [0, np.inf, 0], [0, 0, 5]],
    ],
)
def test_a_periodic_structure_needs_a_cell_with_volume(cell):
    with pytest.raises(InputError, match="periodic"):
        Structure(**WATER, cell=cell, pbc=[True, True, True])


def test_a_slab_needs_no_vector_where_it_does_not_repeat():
    slab = Structure(**WATER, cell=np.diag([5.0, 5.0, 0.0]), pbc=[True, True, False])
    assert slab.is_periodic


def test_a_slab_needs_the_vectors_along_which_it_repeats():
    with pytest.raises(InputError, match="periodic"):
        Structure(**WATER, cell=np.diag([5.0, 0.0, 5.0]), pbc=[True, True, False])


@pytest.mark.parametrize("stress", [STRESS, STRESS[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]])
def test_a_stress_may_be_whole_or_in_voigt_order(stress):
    atoms = Structure(**WATER, cell=9 * np.eye(3), pbc=[True] * 3).to_atoms()
    atoms.calc = SimpleNamespace(results={"stress": stress})  # a calculator that knows no more
    np.testing.assert_array_equal(Structure.from_atoms(atoms).stress, STRESS)


@pytest.mark.parametrize("key", ["energy", "forces", "stress"])
def test_one_label_is_enough_for_a_calculator_in_ase(key):
    label = {"energy": -1.0, "forces": np.ones((3, 3)), "stress": STRESS}[key]
    assert Structure(**WATER, **{key: label}).to_atoms().calc is not None


def test_a_structure_without_labels_has_no_calculator_in_ase():
    """It would answer for energies that nobody knows."""
    assert Structure(**WATER).to_atoms().calc is None


def test_new_positions_drop_the_labels_of_the_old_ones():
    labelled = Structure(**WATER, energy=-1.0, forces=np.ones((3, 3)), name="water")
    moved = labelled.with_positions(labelled.positions + 1)
    assert moved.energy is None
    assert moved.forces is None
    assert moved.name == "water"
    assert moved.with_positions(moved.positions, name="other").name == "other"


def test_ase_gives_back_what_it_got():
    structure = Structure(
        **WATER,
        cell=[[4, 0, 0], [1, 5, 0], [0, 2, 6]],
        pbc=[True, True, True],
        energy=-1.5,
        forces=np.arange(9.0).reshape(3, 3),
        stress=STRESS,
        name="water 007",
    )
    back = Structure.from_atoms(structure.to_atoms())
    for key in ("numbers", "positions", "cell", "pbc", "forces", "stress"):
        np.testing.assert_array_equal(getattr(back, key), getattr(structure, key), err_msg=key)
    assert (back.energy, back.name) == (-1.5, "water 007")


def test_a_molecule_comes_back_from_ase_without_a_cell_and_labels():
    back = Structure.from_atoms(Structure(**WATER).to_atoms())
    assert back.cell is None
    assert (back.energy, back.forces, back.stress) == (None, None, None)


def test_an_ase_calculator_is_never_asked_to_compute():
    atoms = Structure(**WATER).to_atoms()
    atoms.calc = EMT()
    assert Structure.from_atoms(atoms).energy is None
    atoms.get_potential_energy()
    assert Structure.from_atoms(atoms).energy == pytest.approx(atoms.get_potential_energy())


def test_labels_of_positions_that_have_changed_are_not_taken():
    atoms = Structure(**WATER, energy=-1.0, forces=np.zeros((3, 3))).to_atoms()
    assert isinstance(atoms.calc, SinglePointCalculator)
    atoms.positions[0, 0] += 0.1
    assert Structure.from_atoms(atoms).energy is None
