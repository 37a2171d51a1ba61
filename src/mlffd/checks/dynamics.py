"""Molecular dynamics at constant energy, of several structures at once.

Velocity Verlet: Swope, Andersen, Berens and Wilson, J. Chem. Phys. 76, 637 (1982).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import units
from ase.data import atomic_masses
from ase.optimize import BFGS

from mlffd.runtimes.ase_calculator import Calculator
from mlffd.runtimes.potential import Potential, StructurePrediction, predict
from mlffd.structures.structure import FloatArray, Structure

_LOST = 1e6  # Å; an atom that is further away does not come back


@dataclass(frozen=True, eq=False)
class State:
    """A structure on its way.

    Attributes:
        structure: where its atoms are.
        velocities: Å per ASE's unit of time, ``[N, 3]``.
        energy: potential energy, eV; NaN once an atom is lost.
        forces: eV/Å, ``[N, 3]``; NaN likewise.
    """

    structure: Structure
    velocities: FloatArray
    energy: float
    forces: FloatArray

    @property
    def total_energy(self) -> float:
        """Potential and kinetic energy in eV."""
        return self.energy + 0.5 * float((_masses(self.structure) * self.velocities**2).sum())


def relaxed(potential: Potential, structure: Structure) -> Structure:
    """The structure at, or near, the next minimum of its energy."""
    atoms = structure.to_atoms()
    atoms.calc = Calculator(potential)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=100)
    return structure.with_positions(atoms.positions)


def thermal_velocities(structure: Structure, temperature: float, seed: int) -> FloatArray:
    """Velocities ``[N, 3]`` with which a structure that leaves a minimum has a temperature.

    Maxwell-Boltzmann, but the whole neither moves nor turns. Half of the kinetic energy goes into
    the bonds, so twice the temperature, which is in K, is put in.
    """
    masses = _masses(structure)
    noise = np.random.default_rng(seed).normal(size=structure.positions.shape)
    velocities = np.sqrt(2 * temperature * units.kB / masses) * noise
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    arms = structure.positions - (masses * structure.positions).sum(axis=0) / masses.sum()
    spin = (masses * np.cross(arms, velocities)).sum(axis=0)
    inertia = np.eye(3) * (masses * arms**2).sum() - arms.T @ (masses * arms)
    # Pseudo-inverse: a straight molecule does not turn about itself.
    turning: FloatArray = np.linalg.pinv(inertia, rcond=1e-9, hermitian=True) @ spin
    return velocities - np.cross(turning, arms)


def velocity_verlet(
    potential: Potential,
    structures: Sequence[Structure],
    velocities: Sequence[FloatArray],
    time_step: float,
) -> Iterator[list[State]]:
    """The start, and then without end what follows from it step by step.

    Structures do not see each other: they share nothing but the call of the potential.

    Args:
        potential: whose forces act.
        structures: where they start.
        velocities: with which they start, ``[N, 3]`` each.
        time_step: in ASE's unit of time.
    """
    predictions = _evaluate(potential, structures)
    while True:
        yield [
            State(structure, velocity, prediction.energy, prediction.forces)
            for structure, velocity, prediction in zip(
                structures, velocities, predictions, strict=True
            )
        ]
        velocities = _kicked(structures, velocities, predictions, time_step / 2)
        structures = [
            structure.with_positions(structure.positions + time_step * velocity)
            for structure, velocity in zip(structures, velocities, strict=True)
        ]
        predictions = _evaluate(potential, structures)
        velocities = _kicked(structures, velocities, predictions, time_step / 2)


def _evaluate(potential: Potential, structures: Sequence[Structure]) -> list[StructurePrediction]:
    """Predictions; of a structure that has lost an atom NaN, so that it does not end the others."""
    is_whole = [bool((np.abs(s.positions) < _LOST).all()) for s in structures]
    predictions = iter(
        predict(potential, [s for s, whole in zip(structures, is_whole, strict=True) if whole])
    )
    return [
        next(predictions) if whole else StructurePrediction(np.nan, np.full((len(s), 3), np.nan))
        for s, whole in zip(structures, is_whole, strict=True)
    ]


def _kicked(
    structures: Sequence[Structure],
    velocities: Sequence[FloatArray],
    predictions: Sequence[StructurePrediction],
    time: float,
) -> list[FloatArray]:
    """Velocities after forces have acted for some time."""
    return [
        velocity + time * prediction.forces / _masses(structure)
        for structure, velocity, prediction in zip(structures, velocities, predictions, strict=True)
    ]


def _masses(structure: Structure) -> FloatArray:
    """Atomic masses in u, ``[N, 1]``."""
    masses: FloatArray = atomic_masses[structure.numbers][:, None]
    return masses
