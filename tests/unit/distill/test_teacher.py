"""The teacher: consistent derivatives, independence of history, honest failures."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from mlffd.distill.optional import import_optional
from mlffd.distill.teacher import LabelError, label, label_all, provenance
from mlffd.errors import InputError
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


@pytest.mark.parametrize("structure", [WATER, ICE], ids=["molecule", "cell"])
def test_forces_are_the_negative_gradient(tblite, structure):
    labelled = label(structure)
    step = 1e-3
    for atom, axis in [(0, 2), (1, 0), (2, 1)]:
        moved = np.zeros_like(structure.positions)
        moved[atom, axis] = step
        up, down = (
            label(structure.with_positions(structure.positions + sign * moved)).energy
            for sign in (1, -1)
        )
        assert labelled.forces[atom, axis] == pytest.approx(-(up - down) / (2 * step), abs=2e-4)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 1), (0, 1), (1, 2)])
def test_stress_is_the_strain_derivative_per_volume(tblite, row, column):
    def strained(size: float) -> float:
        strain = np.eye(3)
        strain[row, column] += size / 2
        strain[column, row] += size / 2
        deformed = replace(ICE, positions=ICE.positions @ strain, cell=ICE.cell @ strain)
        return label(deformed).energy

    step = 1e-3
    expected = (strained(step) - strained(-step)) / (2 * step) / np.linalg.det(ICE.cell)
    assert label(ICE).stress[row, column] == pytest.approx(expected, abs=2e-6)


def test_labels_do_not_depend_on_what_was_labelled_before(tblite):
    alone = label_all([WATER]).structures[0]
    after = label_all([ICE, WATER]).structures[1]
    assert after.energy == alone.energy
    np.testing.assert_array_equal(after.forces, alone.forces)


def test_a_molecule_has_no_stress(tblite):
    assert label(WATER).stress is None


def test_a_single_atom_has_the_spin_of_its_ground_state(tblite):
    atom = Structure(numbers=np.array([7]), positions=np.zeros((1, 3)), name="N")
    calculator = tblite.Calculator("GFN2-xTB", atom.numbers, atom.positions, uhf=3)
    calculator.set("verbosity", 0)
    quartet = calculator.singlepoint().get("energy") * 27.211386  # eV
    assert label(atom).energy == pytest.approx(quartet, abs=1e-4)


@pytest.mark.parametrize("pbc", [(True, True, False), (False, False, True)])
def test_a_slab_is_refused_before_anything_is_computed(pbc):
    with pytest.raises(InputError, match=r"ice: pbc is .*expected all or none"):
        label(replace(ICE, pbc=np.array(pbc)))


def test_one_failure_does_not_lose_the_others(tblite):
    on_top = Structure(numbers=np.array([1, 1]), positions=np.zeros((2, 3)), name="on top")
    done = label_all([on_top, WATER])
    assert [s.name for s in done.structures] == ["water"]
    ((name, reason),) = done.failures
    assert name == "on top"
    assert reason


def test_absurd_forces_are_refused_although_the_calculation_converges(tblite):
    squeezed = WATER.with_positions(WATER.positions * 0.6)
    with pytest.raises(LabelError, match=r"a force of .* is more than"):
        label(squeezed)


def test_provenance_names_method_program_and_version(tblite):
    assert provenance()["method"] == "GFN2-xTB"
    assert provenance()["version"][0].isdigit()


def test_a_missing_extra_is_answered_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite.interface", None)
    with pytest.raises(InputError, match=r"tblite is not installed.*mlffd\[label\]"):
        import_optional("tblite.interface")
