"""Differences between predictions that ought to be equal."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from mlffd.checks.evidence import Criterion
from mlffd.runtimes.potential import StructurePrediction

#: Hundreds of times what float64 rounding leaves of a healthy student at most: 3e-12 of an energy,
#: and 7e-13 of a force near the origin (see the kill matrix in the docs).
ENERGY_LIMIT = 1e-9  # eV per atom
FORCE_LIMIT = 1e-9  # eV/Å


class Comparison(NamedTuple):
    """Two predictions of what ought to be the same, forces in the same order and frame."""

    name: str
    expected: StructurePrediction
    found: StructurePrediction


class Deviations(NamedTuple):
    """How far predictions that ought to be equal are apart.

    Attributes:
        energy_rms: eV per atom, over structures.
        energy_max: eV per atom.
        forces_rms: eV/Å, over components.
        forces_max: eV/Å, worst component.
        worst: name of the structure furthest over the usual limits, in energy or in forces.
    """

    energy_rms: float
    energy_max: float
    forces_rms: float
    forces_max: float
    worst: str

    def criteria(self, *, force_limit: float = FORCE_LIMIT) -> tuple[Criterion, ...]:
        """Hold the largest deviations against limits."""
        return (
            Criterion("energy_max", self.energy_max, ENERGY_LIMIT, "eV/atom"),
            Criterion("forces_max", self.forces_max, force_limit, "eV/Å"),
        )

    def as_details(self) -> dict[str, Any]:
        """For evidence."""
        return self._asdict()


def deviations(comparisons: Iterable[Comparison]) -> Deviations:
    """Summarize; NaN anywhere makes the maxima NaN, which no limit lets pass."""
    energies, forces, names = [], [], []
    # Infinite predictions differ by NaN, and the squares of huge ones are infinite: both are told.
    with np.errstate(invalid="ignore", over="ignore"):
        for name, expected, found in comparisons:
            energies.append(abs(found.energy - expected.energy) / len(expected.forces))
            forces.append(np.abs(found.forces - expected.forces))
            names.append(name)
        energy, force = np.array(energies), np.concatenate(forces)
        worst_forces = np.array([f.max() for f in forces])
        severity = np.maximum(energy / ENERGY_LIMIT, worst_forces / FORCE_LIMIT)
        return Deviations(
            energy_rms=float(np.sqrt((energy**2).mean())),
            energy_max=float(energy.max()),
            forces_rms=float(np.sqrt((force**2).mean())),
            forces_max=float(force.max()),
            worst=names[int(np.argmax(severity))],
        )
