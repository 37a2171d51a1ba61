"""Outliers: each rule catches its own, and what is only unusual survives."""

from dataclasses import replace

import numpy as np
import pytest

from mlffd.distill.outliers import believable, energy_deviations, force_fault
from mlffd.structures.structure import Structure

#: eV, of elements, as GFN2-xTB has them.
ATOMIC = {1: -10.7, 6: -48.8, 8: -102.6}


def labelled(numbers, *, shift: float = 0.0, name: str = "x", seed: int = 0) -> Structure:
    """Energies of atoms and bonds, eV, with a scatter of 0.1 per atom; forces that add up."""
    rng = np.random.default_rng(seed)
    forces = rng.normal(size=(len(numbers), 3))
    return Structure(
        numbers=np.array(numbers),
        positions=rng.normal(size=(len(numbers), 3)),
        energy=sum(ATOMIC[z] - 3.0 for z in numbers) + 0.1 * len(numbers) * rng.normal() + shift,
        forces=forces - forces.mean(axis=0),
        name=name,
    )


def usual() -> list[Structure]:
    rng = np.random.default_rng(1)
    return [
        labelled(rng.choice([1, 6, 8], size=rng.integers(3, 20)), seed=seed) for seed in range(60)
    ]


def test_what_is_usual_is_believed():
    believed, failures = believable(usual())
    assert len(believed) == 60
    assert failures == []


def test_nothing_is_nothing():
    assert believable([]) == ([], [])


def test_a_strong_force_is_refused():
    structure = labelled([1, 6])
    forces = np.array([[0.0, 41.0, 0.0], [0.0, -41.0, 0.0]])
    assert force_fault(structure) is None
    fault = force_fault(replace(structure, forces=forces))
    assert fault == "strong force: 41 eV/Å, expected at most 40"


def test_forces_that_do_not_add_up_are_refused_with_images_too():
    structure = labelled([1, 6])
    unbalanced = replace(structure, forces=structure.forces + np.array([0.1, 0, 0]))
    assert force_fault(unbalanced) == "net force: 0.2 eV/Å, expected zero within 0.14 eV/Å"
    periodic = replace(unbalanced, cell=np.eye(3) * 9, pbc=np.ones(3, dtype=bool))
    assert force_fault(periodic) == force_fault(unbalanced)


def test_forces_that_a_teacher_predicts_directly_need_not_add_up_exactly():
    structure = labelled([6] * 40)
    noise = 0.01 * np.random.default_rng(1).normal(size=(40, 3))
    assert np.linalg.norm(noise.sum(axis=0)) > 0.05
    assert force_fault(replace(structure, forces=structure.forces + noise)) is None


@pytest.mark.parametrize("shift", [-27.2 * 3, 27.2 * 3])
def test_an_absurd_energy_is_refused_and_no_other(shift):
    absurd = labelled([1, 6, 8], shift=shift, name="absurd")
    believed, failures = believable([*usual(), absurd])
    assert len(believed) == 60
    ((name, reason),) = failures
    assert name == "absurd"
    assert reason.startswith("energy: ")


def test_many_absurd_energies_do_not_hide_each_other():
    absurd = [labelled([1, 1, 8], shift=1e5, seed=seed) for seed in range(6)]
    believed, failures = believable([*usual(), *absurd])
    assert len(believed) == 60
    assert len(failures) == 6


def test_a_molecule_pulled_apart_survives():
    torn = labelled([6, 8], shift=5.0)
    assert torn in believable([*usual(), torn])[0]


def test_single_atoms_survive_and_do_not_move_the_fit():
    atoms = [labelled([z], shift=50.0) for z in ATOMIC]
    structures = usual()
    assert set(atoms) <= set(believable([*structures, *atoms])[0])
    alone = energy_deviations(structures)
    np.testing.assert_allclose(energy_deviations([*structures, *atoms])[:60], alone, atol=1e-9)
    assert energy_deviations(atoms).tolist() == [0.0, 0.0, 0.0]
