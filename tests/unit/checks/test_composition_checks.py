"""Structures that see each other, by a known amount: just under each limit, and over."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from springs import Changed, PairPotential, dumbbell, failing, measured, soft, subject_of, triangle

from mlffd.checks.composition import check_batch_invariance, check_size_consistency
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

SOUND = PairPotential(soft)
PERIODIC = PairPotential(soft, periodic=True)
MOLECULES = [
    *(triangle(f"triangle {i}") for i in range(3)),
    *(dumbbell(1.4 + 0.1 * i, f"dumbbell {i}") for i in range(3)),
]


def crystal(name="crystal"):
    return Structure(
        np.array([6, 6]),
        np.array([[0.1, 0.0, 0.0], [1.4, 0.3, 0.2]]),
        cell=3.3 * np.eye(3),
        pbc=np.ones(3, bool),
        name=name,
    )


class Spy:
    """Remembers how many structures of how many atoms it was asked at a time."""

    def __init__(self, inner=SOUND):
        self.asked = []
        self.potential = Changed(inner, self._remember)

    def _remember(self, batch, prediction):
        self.asked.append(batch.atom_counts.tolist())
        return prediction


def wrong_in_company(concerned, *, energy=0.0, force=0.0, stress=0.0, inner=SOUND):
    """Off by eV per atom, eV/Å and eV/Å³ in every batch that is concerned."""

    def change(batch, prediction):
        if not concerned(batch):
            return prediction
        forces = prediction.forces.clone()
        forces[-1, 2] -= force
        changed = replace(
            prediction, energy=prediction.energy + energy * batch.atom_counts, forces=forces
        )
        if prediction.stress is None:
            return changed
        off = torch.zeros(3, 3, dtype=torch.float64)
        off[1, 2] = stress
        return replace(changed, stress=prediction.stress + off)

    return Changed(inner, change)


def test_molecules_far_apart_keep_their_energies_and_forces():
    evidence = check_size_consistency(subject_of(SOUND, MOLECULES))
    assert evidence.verdict is Verdict.PASS
    assert max(c.severity for c in evidence.criteria) < 1e-3


@pytest.mark.parametrize(
    ("energy", "force", "found"),
    [
        (0.95e-9, 0.95e-9, set()),
        (1.05e-9, 0.0, {"energy_max"}),
        (-1.05e-9, 0.0, {"energy_max"}),
        (0.0, 1.05e-9, {"forces_max"}),
    ],
)
def test_molecules_far_apart_may_change_each_other_by_rounding_only(energy, force, found):
    """All pairs are of five atoms: a triangle and a dumbbell."""
    potential = wrong_in_company(
        lambda batch: (batch.atom_counts == 5).all(), energy=energy, force=force
    )
    molecules = [MOLECULES[0], MOLECULES[4]]
    assert failing(check_size_consistency(subject_of(potential, molecules))) == found


@pytest.mark.parametrize(("reach", "found"), [(38.0, set()), (50.0, {"energy_max", "forces_max"})])
def test_forty_angstrom_are_far(reach, found):
    """Of an attraction that reaches further, two atoms in one place feel the most."""

    def attraction(distances):
        return 1e-3 * (reach - distances).clamp(min=0) ** 2

    potential = PairPotential(lambda d: torch.where(d > 30, attraction(d), 0 * d))
    potential.cutoff = 60.0
    assert failing(check_size_consistency(subject_of(potential, [triangle(), dumbbell()]))) == found


def test_far_is_along_no_axis():
    """A list of neighbours may go wrong along one of them only."""
    places = []

    def change(batch, prediction):
        places.append(batch.positions[batch.structure_index == 0].numpy())
        return prediction

    molecules = [triangle("a"), dumbbell(name="b")]
    check_size_consistency(subject_of(Changed(SOUND, change), molecules))
    apart = places[0][3] - molecules[1].positions[0]
    assert apart[0] == pytest.approx(40.0)
    assert (np.abs(apart) > 5.0).all()


def test_every_molecule_meets_the_next_and_the_last_the_first():
    spy = Spy()
    molecules = [triangle("a"), dumbbell(1.5, "b"), dumbbell(1.6, "c")]
    check_size_consistency(subject_of(spy.potential, molecules))
    assert spy.asked == [[5, 4, 5], [3, 2, 2]]


def test_batches_change_nothing_of_a_sound_student():
    for potential in (SOUND, PERIODIC):
        evidence = check_batch_invariance(subject_of(potential, MOLECULES, [crystal()]))
        assert evidence.verdict is Verdict.PASS
        assert max(c.severity for c in evidence.criteria) < 1e-3
        assert ("stress_max" in measured(evidence)) is potential.has_stress


@pytest.mark.parametrize(
    ("errors", "found"),
    [
        ({"energy": 0.95e-9, "force": 0.95e-9, "stress": 0.95e-10}, set()),
        ({"energy": 1.05e-9}, {"energy_max"}),
        ({"force": 1.05e-9}, {"forces_max"}),
        ({"stress": 1.05e-10}, {"stress_max"}),
        ({"stress": -1.05e-10}, {"stress_max"}),
    ],
)
@pytest.mark.parametrize("second", [3, 2], ids=["in order", "in reverse"])
def test_company_may_change_rounding_only(errors, found, second):
    """In the mixed batch as it is, or in reverse: the second structure tells which."""

    def concerned(batch):
        counts = batch.atom_counts.tolist()
        return 1 < len(counts) < 300 and counts[1] == second

    potential = wrong_in_company(concerned, **errors, inner=PERIODIC)
    assert failing(check_batch_invariance(subject_of(potential, MOLECULES, [crystal()]))) == found


def test_a_lone_atom_and_cells_are_among_a_mixed_batch():
    spy = Spy(PERIODIC)
    check_batch_invariance(subject_of(spy.potential, MOLECULES, [crystal()]))
    mixed, reverse = (a for a in spy.asked if 1 < len(a) < 300)
    assert mixed == [3, 3, 3, 2, 1, 2, 2, 2, 3]
    assert reverse == mixed[::-1]

    spy = Spy()
    check_batch_invariance(subject_of(spy.potential, MOLECULES, [crystal()]))
    assert [3, 3, 3, 2, 1, 2, 2] in spy.asked


def test_a_batch_of_more_structures_than_a_byte_can_count_is_tried():
    """The first and the last of them among those that are compared with themselves alone."""
    spy = Spy()
    check_batch_invariance(subject_of(spy.potential, MOLECULES[:4]))  # the last is the smallest
    assert [2] * 300 in spy.asked
    after = spy.asked[spy.asked.index([2] * 300) + 1 :]
    assert after == [[2]] * 26

    for index, expected in ((0, "FAIL"), (299, "FAIL"), (1, "PASS"), (12, "FAIL")):

        def change(batch, prediction, index=index):
            energy = prediction.energy.clone()
            if len(batch) == 300:
                energy[index] += 1.0
            return replace(prediction, energy=energy)

        evidence = check_batch_invariance(subject_of(Changed(SOUND, change), MOLECULES))
        assert evidence.verdict is Verdict[expected]
        if expected == "FAIL":
            assert evidence.details["worst"].endswith(f", number {index + 1} of 300")


def test_every_structure_of_a_small_batch_is_compared():
    for index in range(7):

        def change(batch, prediction, index=index):
            energy = prediction.energy.clone()
            if len(batch) == 7:
                energy[index] += 1.0
            return replace(prediction, energy=energy)

        evidence = check_batch_invariance(subject_of(Changed(SOUND, change), MOLECULES))
        assert evidence.verdict is Verdict.FAIL


def test_a_stress_that_is_no_number_in_company_only_fails():
    def change(batch, prediction):
        if len(batch) == 1 or prediction.stress is None:
            return prediction
        stress = prediction.stress.clone()
        stress[batch.pbc.all(dim=1)] = torch.nan
        return replace(prediction, stress=stress)

    subject = subject_of(Changed(PERIODIC, change), MOLECULES, [crystal()])
    evidence = check_batch_invariance(subject)
    assert failing(evidence) == {"stress_max"}


@pytest.mark.parametrize("spoilt", ["alone", "together"])
def test_a_stress_with_one_number_left_is_not_taken_for_none(spoilt):
    """Where there is no volume all nine are no numbers, alone and in company."""

    def change(batch, prediction):
        if prediction.stress is None:
            return prediction
        stress = torch.full_like(prediction.stress, torch.nan)
        if (len(batch) == 1) == (spoilt == "alone"):
            stress[:, 0, 0] = 0.0
        return replace(prediction, stress=stress)

    subject = subject_of(Changed(PERIODIC, change), MOLECULES, [crystal()])
    assert failing(check_batch_invariance(subject)) == {"stress_max"}


def test_a_student_of_molecules_is_not_asked_for_a_stress():
    assert set(measured(check_batch_invariance(subject_of(SOUND, MOLECULES)))) == {
        "energy_max",
        "forces_max",
    }
