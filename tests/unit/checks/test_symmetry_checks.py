"""Answers that depend on how a structure lies by known amounts: just under each limit, or over."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from springs import Changed, PairPotential, failing, soft, subject_of

from mlffd.checks.symmetry import (
    check_permutation_invariance,
    check_rotation_equivariance,
    check_translation_invariance,
)
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

SOUND = PairPotential(soft)


def lump(count, name="lump"):
    """Carbon atoms in no order; the second lies 1.5 Å from the first along x."""
    positions = 1.5 * np.random.default_rng(count).normal(size=(count, 3))
    positions[1] = positions[0] + [1.5, 0.0, 0.0]
    return Structure(np.full(count, 6), positions, name=name)


CRYSTAL = Structure(
    np.array([6, 6]),
    np.array([[0.1, 0.0, 0.0], [1.4, 0.3, 0.2]]),
    cell=np.array([[3.1, 0.0, 0.0], [0.4, 3.3, 0.0], [0.0, -0.5, 3.5]]),
    pbc=np.ones(3, bool),
    name="crystal",
)


def wrong_where(concerned, structure, energy=0.0, force=0.0):
    """Off by eV per atom, and by eV/Å along the first bond, in some arrangements of a structure."""

    def change(batch, prediction):
        energies, forces = prediction.energy.clone(), prediction.forces.clone()
        for index in range(len(batch)):
            atoms = batch.structure_index == index
            positions = batch.positions[atoms]
            if len(positions) == len(structure) and concerned(positions):
                bond = positions[1] - positions[0]
                energies[index] += len(positions) * energy
                forces[atoms] += force * bond / bond.norm()
        return replace(prediction, energy=energies, forces=forces)

    return Changed(SOUND, change)


def elsewhere(structure):
    """Whether positions are not those of the structure as it was given."""
    original = torch.as_tensor(structure.positions)
    return lambda positions: not torch.allclose(positions, original)


class Spy:
    """Remembers what a potential is asked."""

    def __init__(self):
        self.batches = []
        self.potential = Changed(SOUND, self._remember)

    def _remember(self, batch, prediction):
        self.batches.append(batch)
        return prediction


def test_sound_students_turn_move_and_renumber():
    periodic = PairPotential(soft, periodic=True)
    for check in (
        check_rotation_equivariance,
        check_translation_invariance,
        check_permutation_invariance,
    ):
        evidence = check(subject_of(periodic, [lump(7), lump(3)], [CRYSTAL]))
        assert evidence.verdict is Verdict.PASS
        assert max(c.severity for c in evidence.criteria) < 0.1


@pytest.mark.parametrize(
    "check", [check_rotation_equivariance, check_translation_invariance], ids=["turn", "move"]
)
@pytest.mark.parametrize("periodic", [True, False])
def test_crystals_are_turned_and_moved_if_the_student_knows_them(check, periodic):
    """A crystal that breaks the law: whoever does not see cells is not asked about it."""

    def change(batch, prediction):
        odd = batch.pbc.any(dim=1) & (batch.positions[-1].sum() > 1.95)
        return replace(prediction, energy=prediction.energy + odd)

    potential = Changed(PairPotential(soft, periodic=periodic), change)
    verdict = check(subject_of(potential, [lump(7)], [CRYSTAL])).verdict
    assert verdict is (Verdict.FAIL if periodic else Verdict.PASS)


@pytest.mark.parametrize(
    ("energy", "force", "found"),
    [
        (0.95e-9, 0.95e-9, set()),
        (1.05e-9, 0.0, {"energy_max"}),
        (0.0, 1.05e-9, {"forces_max"}),
    ],
)
def test_turning_may_change_the_worst_by_so_much(energy, force, found):
    """Of five atoms: the typical size is that of more."""
    structure = lump(5)
    potential = wrong_where(elsewhere(structure), structure, energy, force)
    evidence = check_rotation_equivariance(subject_of(potential, [structure, lump(7)]))
    assert failing(evidence) == found


@pytest.mark.parametrize(
    ("energy", "force", "found"),
    [
        (0.95e-10, 0.95e-10 * 3**0.5, set()),
        (1.05e-10, 0.0, {"energy_rms"}),
        (0.0, 1.05e-10 * 3**0.5, {"forces_rms"}),
    ],
)
def test_turning_may_typically_change_rounding_only(energy, force, found):
    """Of six atoms: of fewer, one bond would be everything. One component of three is wrong."""
    structure = lump(6)
    potential = wrong_where(elsewhere(structure), structure, energy, force)
    assert failing(check_rotation_equivariance(subject_of(potential, [structure]))) == found


def test_the_name_of_what_turns_worst_is_told():
    structure = lump(5, "bad")
    potential = wrong_where(elsewhere(structure), structure, energy=1.0)
    evidence = check_rotation_equivariance(subject_of(potential, [lump(7, "good"), structure]))
    assert evidence.message.endswith("(bad)")
    assert evidence.details["worst"] == "bad"


def test_every_other_orientation_of_thirty_two_is_mirrored():
    structure, spy = lump(6), Spy()
    check_rotation_equivariance(subject_of(spy.potential, [structure]))
    original, *turned = (batch.positions.numpy() for batch in spy.batches)
    assert len(turned) == 32
    inverse = np.linalg.pinv(original)
    determinants = [np.linalg.det(inverse @ positions) for positions in turned]
    np.testing.assert_allclose(determinants, [-1.0, 1.0] * 16, rtol=1e-9)
    assert len({positions.tobytes() for positions in turned}) == 32


def test_a_preference_for_one_hand_is_seen():
    structure = lump(6)

    def is_left_handed(positions):
        arms = positions[1:4] - positions[0]
        return bool(torch.linalg.det(arms) < 0)

    potential = wrong_where(is_left_handed, structure, energy=1e-6)
    found = failing(check_rotation_equivariance(subject_of(potential, [structure])))
    assert found == {"energy_rms", "energy_max"}


@pytest.mark.parametrize(
    ("energy", "force", "found"),
    [
        (0.95e-9, 0.95e-7, set()),
        (1.05e-9, 0.0, {"energy_max"}),
        (0.0, 1.05e-7, {"forces_max"}),
    ],
)
@pytest.mark.parametrize("far", [True, False])
def test_moving_a_little_and_far_may_change_rounding_only(far, energy, force, found):
    structure = lump(6)

    def moved(positions):
        distance = (positions[0] - torch.as_tensor(structure.positions[0])).norm()
        return distance > 1e3 if far else 0.1 < distance < 2.0

    potential = wrong_where(moved, structure, energy, force)
    evidence = check_translation_invariance(subject_of(potential, [structure, lump(7)]))
    assert failing(evidence) == found


def test_moving_is_along_all_axes_by_fractions_of_an_angstrom_and_by_a_micrometre():
    spy = Spy()
    check_translation_invariance(subject_of(spy.potential, [lump(6)]))
    original, *moved = (batch.positions.numpy() for batch in spy.batches)
    near, far = ((positions - original)[0] for positions in moved)
    assert (np.abs(near) > 0.05).all()
    assert (np.abs(near) < 1.0).all()
    assert len(np.unique(np.abs(near).round(3))) == 3
    assert np.abs(far).max() == pytest.approx(1e4)  # Å are 1 µm
    assert (np.abs(far) > 5).all()


@pytest.mark.parametrize("pattern", ["drawn", "reversed"])
def test_atoms_are_renumbered_at_random_and_back_to_front(pattern):
    """A student that sees only one of both orders is found, whichever it is."""
    structure = lump(6)
    reverse = torch.as_tensor(structure.positions[::-1].copy())

    def concerned(positions):
        backwards = torch.equal(positions, reverse)
        return backwards if pattern == "reversed" else elsewhere(structure)(positions) > backwards

    potential = wrong_where(concerned, structure, energy=1.05e-9)
    evidence = check_permutation_invariance(subject_of(potential, [structure, lump(7)]))
    assert failing(evidence) == {"energy_max"}
    assert evidence.details["worst"] == "lump"


@pytest.mark.parametrize(
    ("energy", "force", "found"),
    [
        (0.95e-9, 0.95e-9, set()),
        (1.05e-9, 0.0, {"energy_max"}),
        (0.0, 1.05e-9, {"forces_max"}),
    ],
)
def test_renumbering_may_change_rounding_only(energy, force, found):
    """Of two atoms: the bond, and so the wrong force, is along x in both orders."""
    structure = lump(2)
    potential = wrong_where(elsewhere(structure), structure, energy, force)
    evidence = check_permutation_invariance(subject_of(potential, [structure, lump(7)]))
    assert failing(evidence) == found


@pytest.mark.parametrize("periodic", [True, False])
def test_lone_atoms_have_one_order_and_crystals_count_if_the_student_knows_them(periodic):
    asked = []

    def change(batch, prediction):
        asked.append((min(batch.atom_counts.tolist()), bool(batch.pbc.any())))
        return prediction

    potential = Changed(PairPotential(soft, periodic=periodic), change)
    alone = Structure(np.array([6]), np.zeros((1, 3)), name="alone")
    check_permutation_invariance(subject_of(potential, [alone, lump(6)], [CRYSTAL]))
    assert set(asked) == {(2, True) if periodic else (6, False)}
