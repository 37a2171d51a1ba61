"""Forces with errors of a known size: just under each limit they pass, just over it they fail."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from springs import (
    Changed,
    PairPotential,
    dumbbell,
    failing,
    measured,
    soft,
    spring,
    subject_of,
    triangle,
)

from mlffd.checks.forces import (
    check_forces_are_gradient,
    check_net_force_and_torque,
    differentiate,
)
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

SOUND = PairPotential(soft)


def chain(count):
    """Carbon atoms along no axis, 1.5 Å apart."""
    positions = np.outer(1.5 * np.arange(count), [0.36, 0.48, 0.8])
    return Structure(np.full(count, 6), positions, name=f"chain of {count}")


def pushed(*pushes):
    """Forces on the first atoms of every structure that belong to no energy, eV/Å."""

    def change(batch, prediction):
        forces = prediction.forces.clone()
        first = 0
        for count in batch.atom_counts.tolist():
            forces[first : first + len(pushes)] += torch.tensor(pushes, dtype=torch.float64)
            first += count
        return replace(prediction, forces=forces)

    return Changed(SOUND, change)


def test_the_stencil_is_exact_for_polynomials_of_the_fourth_degree():
    subject = subject_of(PairPotential(lambda d: (d - 1.0) ** 4))
    lengths = [1.7, 2.4]
    found = differentiate(subject, lambda k, by: dumbbell(lengths[k] + by), 2, 0.3)
    np.testing.assert_allclose(found, [4 * (x - 1.0) ** 3 for x in lengths], rtol=1e-12)


def test_sound_forces_pass_with_room_to_spare():
    evidence = check_forces_are_gradient(subject_of(SOUND, [triangle(), chain(4)]))
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence)["forces_max"] < 1e-8
    assert measured(evidence)["forces_absent"] == 0


@pytest.mark.parametrize(("size", "found"), [(0.95e-6, set()), (1.05e-6, {"forces_max"})])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_component_may_be_off_the_gradient_by_a_millionth(size, found, sign):
    """On one atom of one molecule, in one direction."""
    evidence = check_forces_are_gradient(
        subject_of(pushed((0, 0, 0), (0, sign * size, 0)), [chain(4)])
    )
    assert failing(evidence) == found
    assert evidence.details["by_structure"] == {"chain of 4": pytest.approx(size, rel=1e-3)}


def test_the_worst_structure_is_named_also_where_it_is_no_number():
    def change(batch, prediction):
        forces = prediction.forces.clone()
        forces[0, 0] += 1e-3
        forces[batch.structure_index == 1] = torch.nan
        return replace(prediction, forces=forces)

    subject = subject_of(Changed(SOUND, change), [triangle("off"), triangle("nan"), chain(4)])
    evidence = check_forces_are_gradient(subject)
    assert evidence.verdict is Verdict.FAIL
    assert np.isnan(measured(evidence)["forces_max"])
    assert evidence.message.endswith("(nan)")


def test_large_molecules_would_take_long_and_are_left_out():
    subject = subject_of(SOUND, [chain(21), chain(20), chain(2)])
    evidence = check_forces_are_gradient(subject)
    assert set(evidence.details["by_structure"]) == {"chain of 20", "chain of 2"}


def test_crystals_count_if_the_student_knows_them():
    crystal = Structure(
        np.array([6, 6]),
        np.array([[0.0, 0.0, 0.0], [1.4, 0.3, 0.2]]),
        cell=3.1 * np.eye(3),
        pbc=np.ones(3, bool),
        name="crystal",
    )
    for periodic in (True, False):
        subject = subject_of(PairPotential(soft, periodic=periodic), [triangle()], [crystal])
        evidence = check_forces_are_gradient(subject)
        assert evidence.verdict is Verdict.PASS
        assert ("crystal" in evidence.details["by_structure"]) is periodic


@pytest.mark.parametrize(("force", "found"), [(1.05e-3, set()), (0.95e-3, {"forces_absent"})])
def test_an_energy_that_hardly_changes_is_no_force_field(force, found):
    """The strongest force counts: of a second molecule there is none at all."""
    far = dumbbell(4.99, "hardly touching")
    weak = PairPotential(spring(10 * force, length=1.4))  # pulls by 0.1 Å
    cut = PairPotential(lambda d: torch.where(d < 2, weak.energy(d), 0 * d))
    evidence = check_forces_are_gradient(subject_of(cut, [dumbbell(1.5), far]))
    assert failing(evidence) == found


@pytest.mark.parametrize(("size", "found"), [(0.95e-9, set()), (1.05e-9, {"net_force"})])
def test_forces_may_leave_a_net_force_of_a_billionth(size, found):
    """In two directions, on all three atoms alike: nothing turns."""
    push = size / 5 / 3
    potential = pushed(*3 * [(3 * push, 0.0, -4 * push)])
    evidence = check_net_force_and_torque(subject_of(potential, [triangle()]))
    assert failing(evidence) == found
    assert evidence.details["net_force"] == {"triangle": pytest.approx(size, rel=1e-6)}
    assert measured(evidence)["net_torque"] < 1e-12


@pytest.mark.parametrize(("size", "found"), [(0.95e-9, set()), (1.05e-9, {"net_torque"})])
def test_forces_may_leave_a_net_torque_of_a_billionth(size, found):
    """Two opposite forces on a bond of 2 Å: a torque of twice their size, and no net force."""
    push = (0.0, 0.6 * size / 2, 0.8 * size / 2)
    potential = pushed(push, tuple(-p for p in push))
    evidence = check_net_force_and_torque(subject_of(potential, [dumbbell(2.0)]))
    assert failing(evidence) == found
    assert evidence.details["net_torque"] == {"dumbbell": pytest.approx(size, rel=1e-6)}
    assert measured(evidence)["net_force"] < 1e-12


def test_one_molecule_of_many_is_enough_to_fail_wherever_the_numbers_end():
    """Far from the origin: torques are about the molecule's own centre."""

    def change(batch, prediction):
        forces = prediction.forces.clone()
        forces[batch.structure_index == 1] = torch.nan
        return replace(prediction, forces=forces)

    moved = [chain(4).with_positions(chain(4).positions + 1e3, name=f"{i}") for i in range(3)]
    assert check_net_force_and_torque(subject_of(SOUND, moved)).verdict is Verdict.PASS
    evidence = check_net_force_and_torque(subject_of(Changed(SOUND, change), moved))
    assert failing(evidence) == {"net_force", "net_torque"}


def test_the_strongest_of_several_molecules_decides():
    def change(batch, prediction):
        push = 1e-6 * (batch.structure_index == 1)
        return replace(prediction, forces=prediction.forces + push[:, None])

    molecules = [triangle(name) for name in ("calm", "pushed", "calm too")]
    evidence = check_net_force_and_torque(subject_of(Changed(SOUND, change), molecules))
    assert failing(evidence) == {"net_force"}
    assert measured(evidence)["net_force"] == pytest.approx(3e-6 * 3**0.5, rel=1e-3)
