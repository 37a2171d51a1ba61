"""Molecules in motion: snapshots of Langevin dynamics, and positions with noise."""

import numpy as np
from ase import units
from ase.calculators.calculator import CalculatorError
from ase.md.langevin import Langevin

from mlffd.distill.conformers import Conformers
from mlffd.structures.structure import FloatArray

#: Femtoseconds; the fastest vibration, H-H, has a period of 8.
TIME_STEP = 1.0

#: Per femtosecond. A relaxation time is 20 steps: eight pass before the first snapshot, and two
#: between snapshots.
FRICTION = 0.05
EQUILIBRATION = 160
SPACING = 40

#: How often dynamics that leave what is accepted start again.
ATTEMPTS = 3


def thermal(
    conformers: Conformers,
    minimum: FloatArray,
    temperature: float,
    count: int,
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Where the atoms are at some times of Langevin dynamics, Å, ``[N, 3]`` each.

    Dynamics in which the molecule falls apart start again with other velocities, a few times; then
    there are fewer structures than asked for.

    Args:
        conformers: the molecule.
        minimum: Å, ``[N, 3]``, where it starts.
        temperature: K.
        count: structures.
        rng: decides everything that is random.
    """
    found: list[FloatArray] = []
    for _ in range(ATTEMPTS):
        atoms = conformers.atoms(minimum)
        spread = np.sqrt(atoms.get_masses() * units.kB * temperature)  # Maxwell and Boltzmann
        atoms.set_momenta(spread[:, None] * rng.normal(size=(len(atoms), 3)))
        dynamics = Langevin(
            atoms,
            TIME_STEP * units.fs,
            temperature_K=temperature,
            friction=FRICTION / units.fs,
            fixcm=False,
            rng=rng,
        )
        steps = EQUILIBRATION
        while len(found) < count:
            try:
                dynamics.run(steps)
            except CalculatorError:  # atoms where the surface has no energy
                break
            if not conformers.is_whole(atoms.positions, minimum):
                break
            found.append(atoms.positions - atoms.positions.mean(axis=0))
            steps = SPACING
        if len(found) == count:
            break
    return found


def rattled(
    conformers: Conformers, start: FloatArray, size: float, rng: np.random.Generator
) -> FloatArray:
    """Positions with noise, Å, ``[N, 3]``; less of it where the molecule would fall apart.

    Args:
        conformers: the molecule.
        start: Å, ``[N, 3]``.
        size: Å, the standard deviation.
        rng: decides everything that is random.
    """
    noise = size * rng.normal(size=start.shape)
    while not conformers.is_whole(start + noise, start):
        noise /= 2
    return start + noise
