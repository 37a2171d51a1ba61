"""Labelled clusters that train in a second: atoms joined by springs, all by hand."""

from dataclasses import replace

import numpy as np

from mlffd.distill.recipe import Recipe
from mlffd.structures.structure import Structure

#: eV, by atomic number.
REFERENCES = {1: -13.1, 8: -2043.25}

#: Of the toy teacher's springs: eV/Å², Å.
STIFFNESS, LENGTH = 2.0, 1.2


def spring_cluster(seed: int, *, periodic: bool = False) -> Structure:
    """Three or four atoms, all pairs joined by springs: energy, forces and stress by hand.

    The springs know no images; the cell is too large for a student to see any.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.choice([1, 8], size=3 + seed % 2)
    corners = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) * LENGTH / np.sqrt(2)
    positions = corners[: len(numbers)] + 0.15 * rng.normal(size=(len(numbers), 3))
    vectors = positions[:, None] - positions
    distances = np.linalg.norm(vectors, axis=2) + np.eye(len(numbers))
    stretch = (distances - LENGTH) * (1 - np.eye(len(numbers)))
    pulls = STIFFNESS * (stretch / distances)[:, :, None] * vectors
    return Structure(
        numbers=numbers,
        positions=positions,
        energy=sum(REFERENCES[int(z)] for z in numbers) + STIFFNESS / 4 * (stretch**2).sum(),
        forces=-pulls.sum(axis=1),
        cell=12.0 * np.eye(3) if periodic else None,
        pbc=np.full(3, periodic),
        stress=np.einsum("ijx,ijy->xy", vectors, pulls) / 2 / 12.0**3 if periodic else None,
        name=f"cluster-{seed}",
    )


def lone_atom(number: int) -> Structure:
    return Structure(
        numbers=[number], positions=np.zeros((1, 3)), energy=REFERENCES[number], forces=[[0, 0, 0]]
    )


TRAIN = [spring_cluster(seed) for seed in range(24)]
VALIDATION = [spring_cluster(seed) for seed in range(100, 108)]
CELLS = [spring_cluster(seed, periodic=True) for seed in range(200, 206)]


def short(**changes: object) -> Recipe:
    """Two epochs of three steps."""
    return replace(Recipe(epochs=2, batch_atoms=28, warmup_steps=5), **changes)
