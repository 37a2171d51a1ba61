from itertools import islice

import numpy as np
import pytest
from ase import units
from ase.md.verlet import VelocityVerlet
from springs import LENGTH, PairPotential, dumbbell, spring, triangle

from mlffd.checks.dynamics import relaxed, thermal_velocities, velocity_verlet
from mlffd.runtimes.ase_calculator import Calculator

STIFFNESS = 20.0  # eV/Å²
CARBON = 12.011  # u


def follow(potential, structures, velocities, time_step, steps):
    """States ``[steps + 1][structure]``."""
    return list(islice(velocity_verlet(potential, structures, velocities, time_step), steps + 1))


def at_rest(structures):
    return [np.zeros_like(s.positions) for s in structures]


def test_two_atoms_on_a_spring_swing_with_the_period_of_their_reduced_mass():
    period = 2 * np.pi * np.sqrt(CARBON / 2 / STIFFNESS)
    start = [dumbbell(LENGTH + 0.1)]
    states = follow(PairPotential(spring(STIFFNESS)), start, at_rest(start), period / 400, 400)
    lengths = [float(np.ptp(s.structure.positions[:, 0])) for (s,) in states]
    assert lengths[200] == pytest.approx(LENGTH - 0.1, abs=1e-5)
    assert lengths[400] == pytest.approx(LENGTH + 0.1, abs=1e-5)
    energies = np.array([s.total_energy for (s,) in states])
    np.testing.assert_allclose(energies, 0.5 * STIFFNESS * 0.1**2, rtol=1e-3)


def test_steps_of_half_the_length_err_by_a_quarter():
    start = [dumbbell(LENGTH + 0.1)]
    errors = []
    for steps in (50, 100):
        states = follow(PairPotential(spring(STIFFNESS)), start, at_rest(start), 5 / steps, steps)
        energies = [s.total_energy for (s,) in states]
        errors.append(np.ptp(energies))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


def test_structures_side_by_side_move_as_each_does_in_ase():
    potential = PairPotential(spring(STIFFNESS))
    structures = [triangle(), dumbbell(LENGTH + 0.05)]
    velocities = [thermal_velocities(s, 300.0, seed=1) for s in structures]
    *_, last = follow(potential, structures, velocities, 0.5 * units.fs, 40)
    for state, start, velocity in zip(last, structures, velocities, strict=True):
        atoms = start.to_atoms()
        atoms.calc = Calculator(potential)
        atoms.set_velocities(velocity)
        VelocityVerlet(atoms, timestep=0.5 * units.fs).run(40)
        np.testing.assert_allclose(state.structure.positions, atoms.positions, atol=1e-10)
        np.testing.assert_allclose(state.velocities, atoms.get_velocities(), atol=1e-10)
        assert state.total_energy == pytest.approx(atoms.get_total_energy(), abs=1e-10)


def test_a_structure_that_loses_an_atom_does_not_end_the_others():
    potential = PairPotential(spring(STIFFNESS))
    structures = [dumbbell(), triangle()]
    velocities = [np.array([[0.0, 0.0, 0.0], [1e7, 0.0, 0.0]]), np.zeros((3, 3))]
    states = follow(potential, structures, velocities, 1.0, 3)
    assert np.isfinite(states[0][0].total_energy)
    for lost, other in states[1:]:
        assert np.isnan(lost.total_energy)
        assert np.isnan(lost.forces).all()
        np.testing.assert_allclose(other.structure.positions, triangle().positions, atol=1e-12)


@pytest.mark.parametrize(("distance", "lost"), [(0.99e6, False), (1.01e6, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_atom_is_lost_a_tenth_of_a_millimetre_away(distance, lost, sign):
    velocity = np.array([[0.0, 0.0, 0.0], [0.0, sign * distance, 0.0]])
    potential = PairPotential(spring(STIFFNESS))
    _, (state,) = follow(potential, [dumbbell()], [velocity], 1.0, 1)
    assert np.isnan(state.energy) == lost


@pytest.mark.parametrize(("structure", "vibrations"), [(triangle(), 3), (dumbbell(), 1)])
def test_vibrations_hold_twice_the_temperature_and_the_whole_neither_moves_nor_turns(
    structure, vibrations
):
    kinetic = []
    for seed in range(400):
        velocities = thermal_velocities(structure, 300.0, seed)
        assert np.abs(velocities.sum(axis=0)).max() < 1e-12
        spin = np.cross(structure.positions, velocities).sum(axis=0)
        assert np.abs(spin).max() < 1e-12
        kinetic.append(0.5 * CARBON * float((velocities**2).sum()))
    assert np.mean(kinetic) == pytest.approx(0.5 * vibrations * units.kB * 600.0, rel=0.15)


def test_relaxing_goes_to_the_minimum_and_leaves_the_original_alone():
    start = dumbbell(LENGTH + 0.3)
    found = relaxed(PairPotential(spring(STIFFNESS)), start)
    assert np.ptp(found.positions[:, 0]) == pytest.approx(LENGTH, abs=0.05 / STIFFNESS)
    assert np.ptp(start.positions[:, 0]) == LENGTH + 0.3
    assert found.name == start.name
