"""Faults of the function: the weights are right, and what is computed with them is not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import patch

import torch
from torch import Tensor

from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import (
    atoms_of_each,
    pair_energy,
    with_energy,
    with_prediction,
)
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.students import interaction
from mlffd.students.interaction import Edges
from mlffd.students.student_force_field import StudentForceField

_CHLORINE = 17


def _with_edges(healthy: Healthy, change: Callable[[Edges], Edges]) -> Iterator[StudentSubject]:
    """What the layers see of the edges is changed."""
    original = StudentForceField._edges

    def edges(
        self: StudentForceField, vectors: Tensor, edge_index: Tensor, mirrored: bool
    ) -> Edges:
        return change(original(self, vectors, edge_index, mirrored))

    with patch.object(StudentForceField, "_edges", edges):
        yield healthy.student()


@fault(
    caught_by=["forces_are_gradient", "matches_golden"],
    sizes=[1e-9, 1e-7, 1e-6, 1e-5, 1e-3],
    unit="eV/Å",
    limit=1e-5,
)
def forces_not_the_gradient(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Forces come from a head of their own.

    Direct forces are faster, and no derivative of any energy; they may still balance.
    """

    def other_head(batch: Batch, prediction: Prediction) -> Prediction:
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(batch.positions.shape, generator=generator, dtype=torch.float64)
        for atoms in atoms_of_each(batch):
            noise[atoms] -= noise[atoms].mean(dim=0)
        return replace(prediction, forces=prediction.forces + size * noise)

    yield with_prediction(healthy.student(), other_head)


@fault(
    caught_by=["matches_golden"],
    sizes=[1e-9, 1e-8, 1e-7, 1e-6, 1e-4, 1e-2],
    unit="relative",
    limit=1e-6,
)
def forces_of_one_structure(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """The forces of one structure of the data set are wrong, and no others.

    A special case in the code that one structure of a hundred meets.
    """
    target = next(s for s in healthy.structures if len(s) > 10)
    positions = torch.from_numpy(target.positions)

    def one(batch: Batch, prediction: Prediction) -> Prediction:
        forces = prediction.forces.clone()
        for atoms in atoms_of_each(batch):
            if len(atoms) == len(positions) and torch.equal(batch.positions[atoms], positions):
                forces[atoms] *= 1 + size
        return replace(prediction, forces=forces)

    yield with_prediction(healthy.student(), one)


@fault(
    caught_by=["matches_golden"],
    sizes=[1e-10, 1e-9, 1e-8, 1e-6, 1e-4, 5e-3],
    unit="eV",
    limit=1e-6,
)
def energy_of_one_element(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Every atom of one element has a little more energy.

    A table that is read with the wrong index, or a bias that is added twice: forces and physics are
    untouched.
    """
    yield with_energy(healthy.student(), lambda numbers, *_: size * (numbers == _CHLORINE).double())


@fault(caught_by=["smooth_at_cutoff", "matches_golden"])
def missing_envelope(healthy: Healthy) -> Iterator[StudentSubject]:
    """Messages do not fade towards the cutoff.

    The envelope was left out of the filter; energies jump when an atom leaves.
    """
    yield from _with_edges(healthy, lambda edges: edges._replace(envelope=edges.envelope * 0 + 1))


@fault(
    caught_by=["smooth_at_cutoff", "matches_golden"],
    sizes=[1e-8, 1e-7, 1e-6, 1e-5, 1e-4],
    unit="eV",
    limit=1e-6,
)
def step_at_cutoff(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """The energy of a pair was not shifted to zero at the cutoff.

    An interaction that is cut off and not shifted: forces are still the gradient, and dynamics
    drift.
    """
    yield with_energy(
        healthy.student(),
        lambda numbers, vectors, edges: pair_energy(
            numbers, edges, torch.full((edges.shape[1],), size / 2)
        ),
    )


@fault(caught_by=["zero_vector_safety"], sizes=[1e-12])
def norm_without_epsilon(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """The norm of a vector that symmetry makes zero has no usable derivative.

    In carbon dioxide or methane forces are then wrong or not finite; rattled molecules never tell.
    """
    with patch.object(interaction, "NORM_EPSILON", size):
        yield healthy.student()


@fault(caught_by=["zero_vector_safety"])
def nan_in_one_structure(healthy: Healthy) -> Iterator[StudentSubject]:
    """Straight molecules have forces that are not numbers.

    A maximum over structures, taken in Python, hides NaN behind any number that comes first.
    """

    def poisoned(batch: Batch, prediction: Prediction) -> Prediction:
        forces = prediction.forces.clone()
        for atoms in atoms_of_each(batch):
            arms = batch.positions[atoms] - batch.positions[atoms].mean(dim=0)
            if len(atoms) == 3 and torch.linalg.matrix_rank(arms, atol=1e-3) < 2:
                forces[atoms] = torch.nan
        return replace(prediction, forces=forces)

    yield with_prediction(healthy.student(), poisoned)


@fault(caught_by=["forces_are_gradient"])
def constant_energy(healthy: Healthy) -> Iterator[StudentSubject]:
    """Every structure of so many atoms has the same energy, and no forces.

    A graph without its inputs: perfectly smooth, invariant and conservative.
    """

    def constant(batch: Batch, prediction: Prediction) -> Prediction:
        stress = None if prediction.stress is None else 0 * prediction.stress
        return Prediction(batch.atom_counts.double(), 0 * prediction.forces, stress)

    yield with_prediction(healthy.student(), constant)


@fault(caught_by=["isolated_atoms"], sizes=[1e-8, 1e-7, 1e-6], unit="eV", limit=1e-7)
def isolated_atoms_by_table(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Single atoms are a special case with an energy from a table.

    The table is of another fit than the network.
    """

    def special(batch: Batch, prediction: Prediction) -> Prediction:
        single = (batch.atom_counts == 1) & ~batch.pbc.any(dim=1)
        return replace(prediction, energy=prediction.energy + size * single)

    yield with_prediction(healthy.student(), special)


@fault(caught_by=["nve_conservation"], sizes=[5e-3, 1e-2, 4e-2], unit="eV", limit=4e-2)
def table_without_interpolation(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Bond energies are read from a table, step by step.

    Forces are the exact gradient between the steps, and energy is not conserved across them.
    """

    def tabulated(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        distances = vectors.detach().norm(dim=1)
        steps = size / 2 * torch.round(20.0 * distances.double()) * (distances < 1.7)
        return pair_energy(numbers, edges, steps)

    yield with_energy(healthy.student(), tabulated)


@fault(caught_by=["nve_conservation"], sizes=[2.0], unit="eV")
def hole_beyond_the_bond(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Hydrogen falls into a hole a little beyond its bond.

    Distances that no training structure had: energy and forces agree, and molecules fall apart.
    """

    def hole(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        one_is_hydrogen = (numbers[edges] == 1).sum(dim=0) == 1
        depth = torch.exp(-(((vectors.norm(dim=1) - 1.7) / 0.2) ** 2)) * one_is_hydrogen
        return pair_energy(numbers, edges, -size / 2 * depth)

    yield with_energy(healthy.student(), hole)
