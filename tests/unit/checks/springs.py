"""Potentials that can be solved with pencil and paper: pairs of atoms, each with its own energy."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mlffd.checks.evidence import Evidence
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.potential import Potential
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
        periodic: whether it sees images, and gives a stress.
    """

    max_z, cutoff, dtype, device = 100, 5.0, torch.float64, torch.device("cpu")

    def __init__(
        self,
        energy: Callable[[Tensor], Tensor],
        extra_forces: Callable[[Tensor], Tensor] = torch.zeros_like,
        *,
        periodic: bool = False,
    ) -> None:
        self.energy, self.extra_forces = energy, extra_forces
        self.honours_cells = self.has_stress = periodic

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        vectors = batch.vectors().requires_grad_()
        pairs = 0.5 * self.energy(vectors.norm(dim=1))
        (gradient,) = torch.autograd.grad(pairs.sum(), vectors)
        source, destination = batch.edge_index
        structure = batch.structure_index[destination]
        energy = torch.zeros(len(batch), dtype=torch.float64)
        forces = self.extra_forces(batch.positions)
        virials = vectors.detach()[:, :, None] * gradient[:, None, :]
        virial = torch.zeros(len(batch), 3, 3, dtype=torch.float64).index_add(0, structure, virials)
        return Prediction(
            energy.index_add(0, structure, pairs.detach()),
            forces.index_add(0, destination, gradient).index_add(0, source, -gradient),
            virial / batch.volumes()[:, None, None] if stress else None,
        )


class Changed:
    """A potential that is asked, and then corrected.

    Args:
        inner: the potential.
        change: from the batch and the prediction to another prediction.
    """

    def __init__(self, inner: Potential, change: Callable[[Batch, Prediction], Prediction]) -> None:
        self.inner, self.change = inner, change
        self.max_z, self.cutoff, self.dtype = inner.max_z, inner.cutoff, inner.dtype
        self.device, self.has_stress = inner.device, inner.has_stress
        self.honours_cells = inner.honours_cells

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        return self.change(batch, self.inner(batch, stress=stress))


def soft(distances: Tensor) -> Tensor:
    """A repulsion that ends at the cutoff of 5 Å, and so do its first three derivatives: eV."""
    return (1 - distances / PairPotential.cutoff).clamp(min=0) ** 4


def subject_of(
    potential: Potential,
    molecules: Sequence[Structure] = (),
    crystals: Sequence[Structure] = (),
    elements: Sequence[int] = (6,),
) -> StudentSubject:
    """A student that is this potential, and is tried on these structures."""
    subject = StudentSubject(name="springs", path=Path("none"))
    subject.potential = potential
    subject.molecules, subject.crystals = list(molecules), list(crystals)
    subject.probe_elements = frozenset(elements)
    return subject


def failing(evidence: Evidence) -> set[str]:
    """The criteria that do not hold."""
    return {criterion.name for criterion in evidence.failing}


def measured(evidence: Evidence) -> dict[str, float]:
    """What was measured, by criterion."""
    return {criterion.name: criterion.measured for criterion in evidence.criteria}


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
