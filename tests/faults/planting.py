"""How faults are planted: small changes of a healthy student, and what then fails."""

from collections.abc import Callable, Iterable
from dataclasses import replace as copy_of
from pathlib import Path

import torch
from torch import Tensor

from mlffd.checks.cases import plan
from mlffd.checks.evidence import Evidence
from mlffd.checks.subjects import StudentSubject, Subject
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import Potential, predict
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "golden" / "checkpoints" / "ultra_tiny.pt"
DATASET = ROOT / "golden" / "datasets" / "golden.h5"

Extra = Callable[[Tensor, Tensor, Tensor], Tensor]
Change = Callable[[Batch, Prediction], Prediction]


def healthy_student(path: Path = CHECKPOINT) -> StudentSubject:
    """The shipped student as one that is new: without a golden, every fault is its own.

    The dynamics are as short as they can be and still tell a drift from a vibration.
    """
    return StudentSubject(name="student", path=path, nve_picoseconds=0.1)


def labelled_by_student(structures: Iterable[Structure]) -> list[Structure]:
    """Structures with labels of the shipped student: wrong by its errors, but consistent."""
    bare = list(structures)
    predictions = predict(healthy_student().potential, bare)
    return [
        copy_of(
            structure,
            energy=predicted.energy,
            forces=predicted.forces,
            stress=predicted.stress if structure.is_periodic else None,
        )
        for structure, predicted in zip(bare, predictions, strict=True)
    ]


def all_evidence(subject: Subject, *, dynamics: bool = True) -> dict[str, Evidence]:
    """The evidence of every check that concerns the subject.

    Args:
        subject: with or without a fault.
        dynamics: False leaves out `nve_conservation`, which takes half of the time, where a fault
            does not touch the potential.
    """
    cases = [c for c in plan([subject]).cases if dynamics or c.check.name != "nve_conservation"]
    return {case.check.name: case.run() for case in cases}


def not_passing(subject: Subject, *, dynamics: bool = True) -> dict[str, Verdict]:
    """What a planted fault brings up: empty for a healthy subject."""
    evidence = all_evidence(subject, dynamics=dynamics)
    return {c: e.verdict for c, e in evidence.items() if e.verdict is not Verdict.PASS}


def with_energy(subject: StudentSubject, extra: Extra) -> StudentSubject:
    """Add atomic energies; forces and stress stay the exact derivatives of the sum.

    Args:
        subject: is changed and returned.
        extra: from numbers ``[N]``, edge vectors ``[E, 3]`` and edges ``[2, E]`` to eV, ``[N]``.
    """
    potential = subject.potential
    assert isinstance(potential, EagerPotential)
    original = potential.student.atomic_energies
    potential.student.atomic_energies = lambda numbers, vectors, edges: (  # type: ignore[method-assign]
        original(numbers, vectors, edges) + extra(numbers, vectors, edges)
    )
    return subject


def with_prediction(subject: StudentSubject, change: Change) -> StudentSubject:
    """Change predictions after the fact, so that they no longer belong together."""
    subject.potential = _Changed(subject.potential, change)
    return subject


class _Changed:
    """A potential whose predictions, or batches, are tampered with."""

    def __init__(
        self,
        inner: Potential,
        change: Change = lambda batch, prediction: prediction,
        change_batch: Callable[[Batch], Batch] = lambda batch: batch,
    ) -> None:
        self.inner, self.change, self.change_batch = inner, change, change_batch
        self.cutoff, self.dtype, self.device = inner.cutoff, inner.dtype, inner.device
        self.max_z = inner.max_z
        self.honours_cells, self.has_stress = inner.honours_cells, inner.has_stress

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        return self.change(batch, self.inner(self.change_batch(batch), stress=stress))


def with_batch(subject: StudentSubject, change: Callable[[Batch], Batch]) -> StudentSubject:
    """Change what the potential sees."""
    subject.potential = _Changed(subject.potential, change_batch=change)
    return subject


def without_edges(batch: Batch, dropped: Tensor) -> Batch:
    """The batch without the edges that a mask ``[E]`` marks."""
    return copy_of(batch, edge_index=batch.edge_index[:, ~dropped], shifts=batch.shifts[~dropped])


def nearest_neighbours(numbers: Tensor, vectors: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """For atoms with a neighbour: their index ``[K]`` and the edge to the nearest one ``[K]``."""
    distances = vectors.detach().norm(dim=1)
    nearest = torch.full((len(numbers),), torch.inf, dtype=distances.dtype)
    nearest = nearest.scatter_reduce(0, edges[1], distances, "amin")
    is_nearest = (distances == nearest[edges[1]]) & (distances < 1.6)
    edge = torch.nonzero(is_nearest).squeeze(1)
    return edges[1][edge], edge
