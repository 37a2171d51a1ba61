"""Potentials that can be solved with pencil and paper: pairs of atoms, each with its own energy."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.structures.structure import Structure

#: Å; carbon, so that a bond is anything up to 2 Å and an overlap anything below 0.9 Å.
LENGTH = 1.5


class PairPotential:
    """The sum of a function of the distance over all pairs of atoms within 5 Å.

    Args:
        energy: from distances ``[E]`` in Å to eV.
        extra_forces: from positions ``[N, 3]``; what no energy belongs to.
    """

    max_z, cutoff, dtype, device = 100, 5.0, torch.float64, torch.device("cpu")
    honours_cells, has_stress = False, False

    def __init__(
        self,
        energy: Callable[[Tensor], Tensor],
        extra_forces: Callable[[Tensor], Tensor] = torch.zeros_like,
    ) -> None:
        self.energy, self.extra_forces = energy, extra_forces

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:  # noqa: ARG002
        vectors = batch.vectors().requires_grad_()
        pairs = 0.5 * self.energy(vectors.norm(dim=1))
        (gradient,) = torch.autograd.grad(pairs.sum(), vectors)
        source, destination = batch.edge_index
        structure = batch.structure_index[destination]
        energy = torch.zeros(len(batch), dtype=torch.float64)
        forces = self.extra_forces(batch.positions)
        return Prediction(
            energy.index_add(0, structure, pairs.detach()),
            forces.index_add(0, destination, gradient).index_add(0, source, -gradient),
            None,
        )


def spring(stiffness: float, length: float = LENGTH) -> Callable[[Tensor], Tensor]:
    """A harmonic bond: eV/Å² and Å."""
    return lambda distances: 0.5 * stiffness * (distances - length) ** 2


def triangle(name: str = "triangle") -> Structure:
    """Three carbon atoms, each `LENGTH` from the others."""
    corners = LENGTH * np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.75**0.5, 0.0]])
    return Structure(np.full(3, 6), corners, name=name)


def dumbbell(length: float = LENGTH, name: str = "dumbbell") -> Structure:
    """Two carbon atoms."""
    return Structure(np.full(2, 6), np.array([[0.0, 0.0, 0.0], [length, 0.0, 0.0]]), name=name)
