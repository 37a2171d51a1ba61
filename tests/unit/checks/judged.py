"""Labelled structures, and predictions for them whose errors are known."""

import numpy as np

from mlffd.golden.records import Predictions
from mlffd.structures.structure import Structure

#: More than the least that an interval is trusted with.
COUNT = 24


def labelled_structures(count=COUNT):
    """Triangles of hydrogen, carbon and oxygen, each a molecule of its own."""
    generator = np.random.default_rng(5)
    corners = np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [0.7, 1.3, 0.0]])
    return [
        Structure(
            numbers=np.array([1, 6, 8]),
            positions=corners + 0.1 * generator.normal(size=(3, 3)),
            energy=float(generator.normal()) - 100.0,
            forces=generator.normal(size=(3, 3)),
            name=f"molecule-{index}",
        )
        for index in range(count)
    ]


def predictions_for(structures, factor=1.0, energy=None, forces=None):
    """Errors that are always the same but for a factor; more for one structure, if asked for.

    Args:
        structures: with labels.
        factor: of all errors.
        energy: index of a structure, and eV that its energy is off besides.
        forces: the same, and eV/Å that one component is off besides.
    """
    generator = np.random.default_rng(6)
    energies = [s.energy + factor * 0.03 * float(generator.normal()) for s in structures]
    predicted = [s.forces + factor * 0.1 * generator.normal(size=(3, 3)) for s in structures]
    if energy is not None:
        energies[energy[0]] += energy[1]
    if forces is not None:
        predicted[forces[0]][2, 1] += forces[1]
    return Predictions.concatenate([s.name for s in structures], energies, predicted)
