"""Energies and forces that jump at the cutoff by a known amount: just under each limit, or over."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from springs import Changed, PairPotential, dumbbell, failing, measured, soft, subject_of, triangle

from mlffd.checks.cutoff import check_smooth_at_cutoff
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

SOUND = PairPotential(soft)
LONG = Structure(
    np.full(3, 6), np.array([[10.0, 0.0, 0.0], [11.4, 0.0, 0.0], [14.0, 0.0, 0.0]]), name="long"
)


def beyond(batch):
    """How many pairs of each structure ``[B]`` are within 1e-3 Å of the cutoff, and outside."""
    count = torch.zeros(len(batch), dtype=torch.float64)
    for index in range(len(batch)):
        distances = torch.pdist(batch.positions[batch.structure_index == index])
        count[index] = ((distances > 5.0) & (distances < 5.001)).sum()
    return count


def jumping(energy=0.0, force=0.0, concerned=lambda batch: True):
    """Energies and one component of forces that are larger once a pair has left the cutoff."""

    def change(batch, prediction):
        jumped = (beyond(batch) > 0) & concerned(batch)
        forces = prediction.forces.clone()
        forces[:, 2] += force * jumped[batch.structure_index]
        return replace(prediction, energy=prediction.energy + energy * jumped, forces=forces)

    return Changed(SOUND, change)


def evidence_of(potential, molecules=(), elements=(6, 8)):
    molecules = molecules or [triangle()]
    return check_smooth_at_cutoff(subject_of(potential, molecules, elements=elements))


def test_an_energy_that_ends_softly_does_not_jump():
    evidence = evidence_of(SOUND)
    assert evidence.verdict is Verdict.PASS
    assert max(c.severity for c in evidence.criteria) < 1e-3


@pytest.mark.parametrize(
    ("energy", "force", "found"),
    [
        (0.95e-8, 0.95e-4, set()),
        (1.05e-8, 0.0, {"energy_jump"}),
        (-1.05e-8, 0.0, {"energy_jump"}),
        (0.0, 1.05e-4, {"force_jump"}),
        (0.0, -1.05e-4, {"force_jump"}),
    ],
)
@pytest.mark.parametrize("alone", [True, False], ids=["pair", "molecule"])
def test_a_neighbour_that_leaves_may_change_rounding_only(energy, force, found, alone):
    potential = jumping(energy, force, lambda batch: (batch.atom_counts == 2) == alone)
    assert failing(evidence_of(potential)) == found


@pytest.mark.parametrize(("slope", "found"), [(0.04, set()), (0.2, {"force_jump"})])
def test_a_slope_is_no_jump_of_the_energy(slope, found):
    """An energy that goes on as before until 0.02 meV beyond: the slope alone changes it."""
    steep = PairPotential(lambda d: slope * (d - 5.0))
    steep.cutoff = 6.0  # the list is longer than the envelope

    class Potential:
        max_z, dtype, device = steep.max_z, steep.dtype, steep.device
        honours_cells = has_stress = False
        cutoff = 5.0

        def __call__(self, batch, *, stress=False):
            return steep(batch, stress=stress)

    evidence = evidence_of(Potential())
    assert measured(evidence)["energy_jump"] == 0.0
    assert failing(evidence) == ({"force_jump"} if slope else found)


def test_pairs_and_molecules_are_asked_a_hundred_thousandth_of_an_angstrom_to_either_side():
    asked = []

    def change(batch, prediction):
        for index in range(len(batch)):
            atoms = batch.structure_index == index
            asked.append((batch.numbers[atoms].tolist(), batch.positions[atoms].numpy()))
        return prediction

    molecules = [LONG, *(triangle(str(i)) for i in range(5))]
    evidence_of(Changed(SOUND, change), molecules)
    half = len(asked) // 2
    # Three pairs, and either element at each of the first four molecules.
    assert half == 3 + 4 * 2
    for offset, sides in ((-1e-5, asked[:half]), (1e-5, asked[half:])):
        assert [numbers for numbers, _ in sides[:3]] == [[6, 6], [6, 8], [8, 8]]
        for _, positions in sides[:3]:
            assert np.linalg.norm(positions[1] - positions[0]) == pytest.approx(
                5.0 + offset, abs=1e-9
            )
        for numbers, positions in sides[3:]:
            distances = np.linalg.norm(positions[:-1] - positions[-1], axis=1)
            assert distances.min() == pytest.approx(5.0 + offset, abs=1e-9)
            assert numbers[-1] in (6, 8)
        # Outward from the outermost atom, which is the last of the long molecule.
        np.testing.assert_allclose(sides[3][1][-1], [19.0 + offset, 0.0, 0.0], atol=1e-9)


def test_the_pair_that_jumps_most_is_named_and_the_mean_is_of_pairs():
    def concerned(batch):
        heavy = torch.zeros(len(batch), dtype=torch.bool)
        for index in range(len(batch)):
            heavy[index] = (batch.numbers[batch.structure_index == index] == 8).all()
        return heavy & (batch.atom_counts == 2)

    evidence = evidence_of(jumping(energy=3e-3, concerned=concerned), [dumbbell(1.4)])
    assert evidence.message.endswith("(O-O)")
    assert evidence.details["worst"] == "O-O"
    assert evidence.details["pair_energy_max"] == pytest.approx(3e-3, rel=1e-3)
    assert evidence.details["pair_energy_mean"] == pytest.approx(1e-3, rel=1e-3)
    assert evidence.details["molecule_energy_max"] < 1e-9


def test_a_jump_of_a_molecule_is_told_apart_from_those_of_pairs():
    potential = jumping(2e-3, 0.5, lambda batch: batch.atom_counts > 2)
    evidence = evidence_of(potential)
    assert evidence.details["molecule_energy_max"] == pytest.approx(2e-3, rel=1e-2)
    assert evidence.details["pair_energy_max"] < 1e-9
    assert evidence.details["force_max"] == pytest.approx(0.5, rel=1e-3)
    assert evidence.details["worst"].startswith("triangle + ")


def test_a_jump_on_a_slope_is_told_without_the_slope():
    """Energies go on beyond the cutoff as before, but for a jump."""
    slope, jump = 0.2, 1e-5

    def change(batch, prediction):
        energies, forces = prediction.energy.clone(), torch.zeros_like(prediction.forces)
        for index in range(len(batch)):
            first, *_, last = torch.nonzero(batch.structure_index == index)[:, 0]
            arm = batch.positions[last] - batch.positions[first]
            energies[index] += slope * arm.norm()
            forces[last] = -slope * arm / arm.norm()
        jumped = beyond(batch) > 0
        return replace(prediction, energy=energies + jump * jumped, forces=forces)

    evidence = evidence_of(Changed(SOUND, change), [dumbbell(1.4)])
    assert measured(evidence)["energy_jump"] == pytest.approx(jump, rel=1e-3)


def test_the_molecule_that_jumps_most_counts():
    potential = jumping(2e-3, concerned=lambda batch: batch.atom_counts == 4)
    evidence = evidence_of(potential, [dumbbell(1.4), triangle(), dumbbell(1.4, "another")])
    assert evidence.details["molecule_energy_max"] == pytest.approx(2e-3, rel=1e-2)


def test_outward_is_away_from_the_middle_of_the_molecule_and_not_of_the_world():
    asked = []

    def change(batch, prediction):
        asked.extend(batch.positions[batch.structure_index == len(batch) - 1].numpy())
        return prediction

    upright = Structure(
        np.full(3, 6), np.array([[10.0, 0.0, 0.0], [10.0, 1.4, 0.0], [10.0, 4.0, 0.0]]), name="up"
    )
    evidence_of(Changed(SOUND, change), [upright])
    np.testing.assert_allclose(asked[3], [10.0, 9.0, 0.0], atol=1e-4)
