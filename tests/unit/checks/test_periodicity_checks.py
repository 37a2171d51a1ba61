"""Crystals whose images or stress are wrong by a known amount: just under each limit, and over."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from springs import Changed, PairPotential, failing, measured, soft, subject_of

from mlffd.checks.cases import plan
from mlffd.checks.periodicity import check_periodic_images, check_stress_is_strain_derivative
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

SOUND = PairPotential(soft, periodic=True)
CELL = np.array([[3.1, 0.0, 0.0], [0.4, 3.3, 0.0], [0.7, -0.5, 3.5]])


def crystal(pbc=(True, True, True), name="crystal"):
    return Structure(
        np.array([6, 6]),
        np.array([[0.1, 0.0, 0.0], [1.4, 0.3, 0.2]]),
        cell=CELL,
        pbc=np.array(pbc),
        name=name,
    )


SLAB = crystal((True, True, False), "slab")


def asked_of(check, *crystals, potential=SOUND):
    """Every structure that a check asks about: positions, cell and what repeats."""
    asked = []

    def change(batch, prediction):
        for index in range(len(batch)):
            atoms = batch.structure_index == index
            asked.append(
                (batch.positions[atoms].numpy(), batch.cells[index].numpy(), batch.pbc[index])
            )
        return prediction

    check(subject_of(Changed(potential, change), crystals=crystals))
    return asked


def wrong_where(concerned, *, energy=0.0, force=0.0, stress=None):
    """Off by eV per atom and eV/Å, or by a stress, in some descriptions of a crystal."""

    def change(batch, prediction):
        energies, forces = prediction.energy.clone(), prediction.forces.clone()
        for index in range(len(batch)):
            atoms = batch.structure_index == index
            if concerned(batch.positions[atoms].numpy(), batch.cells[index].numpy()):
                energies[index] += int(atoms.sum()) * energy
                forces[torch.nonzero(atoms)[-1], 1] += force
        changed = replace(prediction, energy=energies, forces=forces)
        if stress is None or prediction.stress is None:
            return changed
        return replace(changed, stress=prediction.stress + torch.as_tensor(stress))

    return Changed(SOUND, change)


def is_moved(positions, cell):
    return np.array_equal(cell, CELL) and not np.array_equal(positions, crystal().positions)


def is_rebased(positions, cell):
    return len(positions) == 2 and not np.array_equal(cell, CELL)


def is_doubled(positions, cell):
    return len(positions) == 4


def test_a_student_that_sees_all_images_passes():
    evidence = check_periodic_images(subject_of(SOUND, crystals=[crystal(), SLAB]))
    assert evidence.verdict is Verdict.PASS
    assert max(c.severity for c in evidence.criteria) < 1e-3


@pytest.mark.parametrize("concerned", [is_moved, is_rebased, is_doubled])
@pytest.mark.parametrize(
    ("energy", "force", "found"),
    [
        (0.95e-9, 0.95e-9, set()),
        (1.05e-9, 0.0, {"energy_max"}),
        (0.0, 1.05e-9, {"forces_max"}),
    ],
)
def test_another_description_may_change_rounding_only(concerned, energy, force, found):
    potential = wrong_where(concerned, energy=energy, force=force)
    evidence = check_periodic_images(subject_of(potential, crystals=[crystal()]))
    assert failing(evidence) == found


def test_a_student_that_ignores_images_or_turns_shifts_around_fails():
    def alone(batch):
        here = batch.shifts.norm(dim=1) == 0
        return replace(batch, edge_index=batch.edge_index[:, here], shifts=batch.shifts[here])

    for change in (alone, lambda batch: replace(batch, shifts=-batch.shifts)):
        potential = Changed(SOUND, lambda batch, _, change=change: SOUND(change(batch)))
        subject = subject_of(potential, crystals=[crystal()])
        assert "energy_max" in failing(check_periodic_images(subject))


@pytest.mark.parametrize("one", [crystal(), SLAB], ids=["crystal", "slab"])
def test_all_descriptions_are_of_the_same_crystal(one):
    """Moved by up to two lattice vectors, in other vectors, and doubled wherever it repeats."""
    original, moved, rebased, *doubled = asked_of(check_periodic_images, one)
    images = (moved[0] - original[0]) @ np.linalg.inv(CELL)
    np.testing.assert_allclose(images, images.round(), atol=1e-9)
    assert np.abs(images).max().round() in (1, 2)
    assert (np.abs(images[:, ~one.pbc]) < 1e-9).all()
    np.testing.assert_array_equal(moved[1], CELL)

    expected = CELL.copy()
    expected[0] = CELL[0] + CELL[1]
    expected[~one.pbc] *= 2
    np.testing.assert_allclose(rebased[1], expected)
    np.testing.assert_array_equal(rebased[0], original[0])

    assert len(doubled) == one.pbc.sum()
    for direction, (positions, cell, _) in enumerate(doubled):
        np.testing.assert_array_equal(cell[direction], 2 * CELL[direction])
        assert (np.delete(cell, direction, 0) == np.delete(CELL, direction, 0)).all()
        np.testing.assert_allclose(positions[2:] - positions[:2], [CELL[direction]] * 2)
    assert all((pbc.numpy() == one.pbc).all() for *_, pbc in (moved, rebased, *doubled))


def test_atoms_are_moved_by_up_to_two_lattice_vectors_either_way():
    many = [crystal(name=str(i)) for i in range(20)]
    asked = asked_of(check_periodic_images, *many)
    moved = [p for p, cell, _ in asked if is_moved(p, cell)]
    images = np.array([(p - crystal().positions) @ np.linalg.inv(CELL) for p in moved]).round()
    assert (images.min(), images.max()) == (-2, 2)


def test_a_sound_stress_passes_with_room_to_spare():
    evidence = check_stress_is_strain_derivative(subject_of(SOUND, crystals=[crystal(), SLAB]))
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence)["stress_max"] < 1e-9
    assert set(evidence.details["by_structure"]) == {"crystal"}  # a slab has no volume


@pytest.mark.parametrize(("size", "found"), [(0.99e-6, set()), (1.01e-6, {"stress_max"})])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("place", [(0, 0), (2, 1)])
def test_a_component_may_be_off_the_strain_derivative_by_a_millionth(size, found, sign, place):
    stress = np.zeros((3, 3))
    stress[place] = sign * size
    potential = wrong_where(lambda *_: False, stress=stress)
    evidence = check_stress_is_strain_derivative(subject_of(potential, crystals=[crystal()]))
    assert failing(evidence) == found


def test_the_worst_of_several_crystals_counts_and_nan_is_worst():
    def change(batch, prediction):
        if prediction.stress is None:
            return prediction
        stress = prediction.stress.clone()
        stress[1] = torch.nan
        return replace(prediction, stress=stress)

    names = ["first", "spoilt", "last"]
    subject = subject_of(Changed(SOUND, change), crystals=[crystal(name=n) for n in names])
    evidence = check_stress_is_strain_derivative(subject)
    assert failing(evidence) == {"stress_max"}
    assert np.isnan(evidence.details["by_structure"]["spoilt"])


def test_a_left_handed_cell_has_a_volume_too():
    left = replace(crystal(), cell=CELL[[1, 0, 2]])
    evidence = check_stress_is_strain_derivative(subject_of(SOUND, crystals=[left]))
    assert evidence.verdict is Verdict.PASS


def test_who_gives_no_stress_is_not_asked_for_it():
    subject = subject_of(PairPotential(soft), crystals=[crystal()])
    planned = plan([subject], ["stress_is_strain_derivative", "translation_invariance"])
    assert [(o.check, o.reason) for o in planned.omissions] == [
        ("stress_is_strain_derivative", "the student gives no stress")
    ]
    asked = subject_of(SOUND, crystals=[crystal()])
    assert plan([asked], ["stress_is_strain_derivative"]).omissions == []


def test_one_wrong_crystal_of_several_is_enough():
    def change(batch, prediction):
        if prediction.stress is None:
            return prediction
        stress = prediction.stress.clone()
        stress[1] += 1e-3
        return replace(prediction, stress=stress)

    crystals = [crystal(name=name) for name in ("first", "spoilt", "last")]
    subject = subject_of(Changed(SOUND, change), crystals=crystals)
    evidence = check_stress_is_strain_derivative(subject)
    assert measured(evidence)["stress_max"] == pytest.approx(1e-3)
