import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.verlet import VelocityVerlet
from ase.stress import voigt_6_to_full_3x3_stress

from mlffd.ase import Calculator
from mlffd.checkpoints import save_checkpoint
from mlffd.errors import InputError
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import predict
from mlffd.structures.structure import Structure
from mlffd.students import build


@pytest.fixture
def potential(student):
    return EagerPotential(student, dtype=torch.float64)


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def crystal():
    atoms = bulk("C", "diamond", a=3.6, cubic=True)
    atoms.rattle(0.1, seed=2)
    atoms.set_cell(atoms.cell @ [[1, 0.05, 0], [0, 1.02, 0.01], [0, 0, 1]], True)
    return atoms


class Counter:
    """A potential that counts its calls."""

    def __init__(self, potential):
        self.potential, self.calls = potential, 0

    def __getattr__(self, name):
        return getattr(self.potential, name)

    def __call__(self, batch, *, stress=False):
        self.calls += 1
        return self.potential(batch, stress=stress)


def test_a_molecule_has_the_predicted_energy_and_forces(potential):
    atoms = ethanol()
    atoms.calc = Calculator(potential)
    (expected,) = predict(potential, [Structure.from_atoms(atoms)])

    assert atoms.get_potential_energy() == expected.energy
    np.testing.assert_array_equal(atoms.get_forces(), expected.forces)


def test_a_crystal_has_the_predicted_stress_in_ases_order(potential):
    atoms = crystal()
    atoms.calc = Calculator(potential)
    (expected,) = predict(potential, [Structure.from_atoms(atoms)], stress=True)

    assert atoms.get_potential_energy() == expected.energy
    np.testing.assert_array_equal(atoms.get_forces(), expected.forces)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), expected.stress, atol=1e-15)
    xx, yy, zz, yz, xz, xy = atoms.get_stress()
    assert (xx, yy, zz) == tuple(np.diag(expected.stress))
    assert (yz, xz, xy) == pytest.approx(
        (expected.stress[1, 2], expected.stress[0, 2], expected.stress[0, 1])
    )


def test_forces_and_stress_are_derivatives_as_ase_computes_them(potential):
    atoms = crystal()
    atoms.calc = Calculator(potential)

    forces = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 3])
    stress = calculate_numerical_stress(atoms, eps=1e-5, voigt=True)

    np.testing.assert_allclose(atoms.get_forces()[[0, 3]], forces, atol=1e-6, rtol=0)
    np.testing.assert_allclose(atoms.get_stress(), stress, atol=1e-7, rtol=0)


@pytest.mark.parametrize("pbc", [False, [True, True, False]])
def test_there_is_no_stress_without_a_volume(potential, pbc):
    atoms = crystal()
    atoms.pbc = pbc
    atoms.calc = Calculator(potential)

    with pytest.raises(PropertyNotImplementedError, match="three directions"):
        atoms.get_stress()
    assert np.isfinite(atoms.get_potential_energy())  # and the calculator is still good


def test_there_is_no_stress_from_a_student_that_ignores_cells(student):
    old = build("StudentForceField", {**student.config, "revision": 1})
    atoms = crystal()
    atoms.calc = Calculator(EagerPotential(old))

    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()
    assert np.isfinite(atoms.get_forces()).all()


def test_the_free_energy_that_some_optimizers_ask_for_is_the_energy(potential):
    atoms = ethanol()
    atoms.calc = Calculator(potential)

    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_nothing_is_computed_twice(potential):
    counter = Counter(potential)
    atoms = crystal()
    atoms.calc = Calculator(counter)

    atoms.get_potential_energy()
    atoms.get_forces()
    atoms.get_stress()
    assert counter.calls == 1
    atoms.positions[0, 0] += 0.01
    atoms.get_forces()
    assert counter.calls == 2


def test_results_of_other_positions_are_not_handed_out(potential):
    atoms = ethanol()
    atoms.calc = Calculator(potential)
    before = atoms.get_forces()

    atoms.positions[0] += 0.1

    assert np.abs(atoms.get_forces() - before).max() > 1e-6


def test_molecular_dynamics_conserves_energy(potential):
    atoms = ethanol()
    atoms.calc = Calculator(potential)
    start = atoms.get_total_energy()
    dynamics = VelocityVerlet(atoms, 0.2 * units.fs)

    dynamics.run(50)

    moved = np.abs(atoms.positions - ethanol().positions).max()
    assert moved > 1e-4
    assert atoms.get_total_energy() == pytest.approx(start, abs=1e-3 * atoms.get_kinetic_energy())


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_a_checkpoint_will_do(student, tmp_path, as_path):
    path = tmp_path / "student.pt"
    save_checkpoint(path, student, elements=[1, 6, 8], training={})
    atoms = ethanol()
    atoms.calc = Calculator(as_path(path), dtype=torch.float64)
    (expected,) = predict(EagerPotential(student), [Structure.from_atoms(atoms)])

    assert atoms.get_potential_energy() == expected.energy
    assert Calculator(path).potential.dtype is torch.float32


def test_what_is_no_checkpoint_or_device_is_an_input_error(student, tmp_path):
    path = tmp_path / "student.pt"
    save_checkpoint(path, student, elements=[1, 6, 8], training={})

    with pytest.raises(InputError, match=r"none\.pt"):
        Calculator(tmp_path / "none.pt")
    with pytest.raises(InputError, match="device 'gpu'"):
        Calculator(path, device="gpu")


def test_positions_that_are_not_finite_are_an_input_error(potential):
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, np.nan]], calculator=Calculator(potential))

    with pytest.raises(InputError, match="positions must be finite"):
        atoms.get_potential_energy()


def test_voigt_order_survives_there_and_back(potential):
    atoms = crystal()
    atoms.calc = Calculator(potential)
    stress = atoms.get_stress()

    again = Structure.from_atoms(atoms)

    np.testing.assert_allclose(again.stress, voigt_6_to_full_3x3_stress(stress), atol=1e-15)
