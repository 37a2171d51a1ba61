"""Ways to plant a fault in a subject: in its energies, its predictions, or in what it is given."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import Potential
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.students import Student

#: From numbers ``[N]``, edge vectors ``[E, 3]`` and edges ``[2, E]`` to eV, ``[N]``.
AtomicEnergies = Callable[[Tensor, Tensor, Tensor], Tensor]
ChangePrediction = Callable[[Batch, Prediction], Prediction]
ChangeBatch = Callable[[Batch], Batch]


class ChangedPotential:
    """A potential whose predictions, or batches, are tampered with.

    Args:
        inner: the healthy one.
        prediction: from a batch and its prediction to what is given out instead.
        batch: from a batch to what the healthy one is given instead.
    """

    def __init__(
        self,
        inner: Potential,
        *,
        prediction: ChangePrediction = lambda batch, prediction: prediction,
        batch: ChangeBatch = lambda batch: batch,
    ) -> None:
        self._inner, self._prediction, self._batch = inner, prediction, batch
        self.cutoff, self.dtype, self.device = inner.cutoff, inner.dtype, inner.device
        self.max_z = inner.max_z
        self.honours_cells, self.has_stress = inner.honours_cells, inner.has_stress

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        """See `mlffd.runtimes.potential.Potential`."""
        return self._prediction(batch, self._inner(self._batch(batch), stress=stress))


def with_student(subject: StudentSubject, change: Callable[[Student], object]) -> StudentSubject:
    """Change the student after its file was read, as faulty code would: the file stays as it is.

    Args:
        subject: is changed and returned.
        change: of the student, in float64.
    """
    potential = subject.potential
    assert isinstance(potential, EagerPotential)
    with torch.no_grad():
        change(potential.student)
    return subject


def with_energy(subject: StudentSubject, extra: AtomicEnergies) -> StudentSubject:
    """Add atomic energies; forces and stress stay the exact derivatives of the sum."""

    def add(student: Student) -> None:
        healthy = student.atomic_energies

        def atomic_energies(
            numbers: Tensor, vectors: Tensor, edge_index: Tensor, *, mirrored: bool = False
        ) -> Tensor:
            energies = healthy(numbers, vectors, edge_index, mirrored=mirrored)
            return energies + extra(numbers, vectors, edge_index)

        student.atomic_energies = atomic_energies  # type: ignore[method-assign]

    return with_student(subject, add)


def with_prediction(subject: StudentSubject, change: ChangePrediction) -> StudentSubject:
    """Change predictions after the fact, so that they no longer belong together."""
    subject.potential = ChangedPotential(subject.potential, prediction=change)
    return subject


def with_batch(subject: StudentSubject, change: ChangeBatch) -> StudentSubject:
    """Change what the student is given."""
    subject.potential = ChangedPotential(subject.potential, batch=change)
    return subject


def with_output(subject: ArtifactSubject, change: ChangePrediction) -> ArtifactSubject:
    """Change what an exported file gives out; the file stays as it is."""
    subject.potential = ChangedPotential(subject.potential, prediction=change)
    return subject


def with_input(subject: ArtifactSubject, change: ChangeBatch) -> ArtifactSubject:
    """Change what an exported file is given."""
    subject.potential = ChangedPotential(subject.potential, batch=change)
    return subject


def with_edges(batch: Batch, kept: Tensor) -> Batch:
    """The batch with the edges of a mask ``[E]`` or an index only, in its order."""
    return replace(batch, edge_index=batch.edge_index[:, kept], shifts=batch.shifts[kept])


def atoms_of_each(batch: Batch) -> list[Tensor]:
    """Indices of the atoms of each structure."""
    return list(torch.arange(len(batch.numbers)).split(batch.atom_counts.tolist()))


def scaled(prediction: Prediction, *, energy: float = 1.0, forces: float = 1.0) -> Prediction:
    """The prediction in other units."""
    return replace(prediction, energy=energy * prediction.energy, forces=forces * prediction.forces)


def nearest_neighbours(numbers: Tensor, vectors: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """For atoms with a neighbour within 1.6 Å: their index ``[K]`` and the edge to the nearest."""
    distances = vectors.detach().norm(dim=1)
    nearest = torch.full((len(numbers),), torch.inf, dtype=distances.dtype)
    nearest = nearest.scatter_reduce(0, edges[1], distances, "amin")
    edge = torch.nonzero((distances == nearest[edges[1]]) & (distances < 1.6)).squeeze(1)
    return edges[1][edge], edge


def pair_energy(numbers: Tensor, edges: Tensor, values: Tensor) -> Tensor:
    """Energies ``[N]`` of atoms from one value for each edge ``[E]``."""
    zeros = torch.zeros(len(numbers), dtype=torch.float64)
    return zeros.index_add(0, edges[1], values.double())


def add_noise(student: Student, size: float) -> None:
    """Add Gaussian noise to every parameter, relative to the mean magnitude of its values."""
    generator = torch.Generator().manual_seed(0)
    for parameter in student.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.add_((size * parameter.abs().mean() * noise).to(parameter.dtype))
