"""Labels of single structures: consistent derivatives, independence of history, honest failures."""

from dataclasses import replace

import numpy as np
import pytest
from ase import units
from teacher_samples import failing, lennard_jones, moody, springs

from mlffd.distill.labels import LabelError, label, label_all
from mlffd.distill.teacher import gfn2
from mlffd.structures.structure import Structure

WATER = Structure(
    numbers=np.array([8, 1, 1]),
    positions=np.array([[0.0, 0.02, 0.1], [0.76, 0.59, 0.0], [-0.8, 0.55, 0.0]]),
    name="water",
)
ICE = replace(
    WATER,
    cell=np.array([[4.2, 0.0, 0.0], [0.3, 4.0, 0.0], [-0.2, 0.4, 4.1]]),
    pbc=np.ones(3, dtype=bool),
    name="ice",
)


@pytest.fixture
def tblite():
    return pytest.importorskip("tblite.interface", reason="labels need tblite")


@pytest.fixture(params=["gfn2", "lennard_jones"])
def teacher(request):
    """The default one and a toy: there is one way for all."""
    if request.param == "lennard_jones":
        return lennard_jones
    pytest.importorskip("tblite", reason="labels need tblite")
    return gfn2


@pytest.mark.parametrize("structure", [WATER, ICE], ids=["molecule", "cell"])
def test_forces_are_the_negative_gradient(tblite, structure):
    labelled = label(structure, gfn2)
    step = 1e-3
    for atom, axis in [(0, 2), (1, 0)]:
        moved = np.zeros_like(structure.positions)
        moved[atom, axis] = step
        up, down = (
            label(structure.with_positions(structure.positions + sign * moved), gfn2).energy
            for sign in (1, -1)
        )
        assert labelled.forces[atom, axis] == pytest.approx(-(up - down) / (2 * step), abs=2e-4)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (1, 2)])
def test_stress_is_the_strain_derivative_per_volume(teacher, row, column):
    def strained(size: float) -> float:
        strain = np.eye(3)
        strain[row, column] += size / 2
        strain[column, row] += size / 2
        deformed = replace(ICE, positions=ICE.positions @ strain, cell=ICE.cell @ strain)
        return label(deformed, teacher).energy

    step = 1e-3
    expected = (strained(step) - strained(-step)) / (2 * step) / np.linalg.det(ICE.cell)
    assert label(ICE, teacher).stress[row, column] == pytest.approx(expected, rel=1e-4, abs=2e-6)


def test_labels_are_those_of_tblite_itself(tblite):
    """Not of ASE's warm calculator, and with the units of the interface."""
    calculator = tblite.Calculator("GFN2-xTB", WATER.numbers, WATER.positions / units.Bohr)
    calculator.set("verbosity", 0)
    calculator.set("accuracy", 0.1)
    result = calculator.singlepoint()
    labelled = label(WATER, gfn2)
    assert labelled.energy == pytest.approx(result.get("energy") * units.Hartree, abs=1e-9)
    np.testing.assert_allclose(
        labelled.forces, -result.get("gradient") * units.Hartree / units.Bohr, atol=1e-9
    )


def test_labels_do_not_depend_on_what_was_labelled_before(teacher):
    (alone,) = label_all([WATER], teacher).structures
    _, after = label_all([ICE, WATER], teacher).structures
    assert after.energy == alone.energy
    np.testing.assert_array_equal(after.forces, alone.forces)


def test_a_molecule_has_no_stress(teacher):
    assert label(WATER, teacher).stress is None


def test_a_teacher_without_stress_gives_cells_none():
    labelled = label(ICE, springs)
    assert labelled.stress is None
    assert labelled.energy == pytest.approx((ICE.positions**2).sum() / 2)


def test_a_single_atom_has_the_spin_of_its_ground_state(tblite):
    atom = Structure(numbers=np.array([7]), positions=np.zeros((1, 3)), name="N")
    calculator = tblite.Calculator("GFN2-xTB", atom.numbers, atom.positions, uhf=3)
    calculator.set("verbosity", 0)
    quartet = calculator.singlepoint().get("energy") * units.Hartree
    assert label(atom, gfn2).energy == pytest.approx(quartet, abs=1e-4)


@pytest.mark.parametrize("pbc", [(True, True, False), (False, False, True)])
def test_a_slab_is_refused_before_anything_is_computed(pbc):
    with pytest.raises(LabelError, match=r"pbc: .*expected all or none"):
        label(replace(ICE, pbc=np.array(pbc)), failing)


def test_one_failure_does_not_lose_the_others(tblite):
    on_top = Structure(numbers=np.array([1, 1]), positions=np.zeros((2, 3)), name="on top")
    done = label_all([on_top, WATER], gfn2)
    assert [s.name for s in done.structures] == ["water"]
    ((name, reason),) = done.failures
    assert name == "on top"
    assert reason


def test_whatever_a_teacher_raises_is_a_failure_with_a_printable_reason_of_one_line():
    fluoride = replace(WATER, numbers=np.array([9, 1, 1]), name="odd")
    done = label_all([fluoride, WATER], moody)
    assert [s.name for s in done.structures] == ["water"]
    assert done.failures == [("odd", "ArithmeticError: no convergence [2J")]
    assert label_all([WATER], failing).failures == [("water", "RuntimeError: no licence")]


def test_a_label_that_is_not_finite_is_a_failure():
    chloride = replace(WATER, numbers=np.array([17, 1, 1]))
    with pytest.raises(LabelError, match="forces: not finite"):
        label(chloride, moody)
