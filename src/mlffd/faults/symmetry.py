"""Faults of symmetry: it matters how a structure is turned, where it is, or how it is numbered."""

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import torch
from torch import Tensor

from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import (
    atoms_of_each,
    nearest_neighbours,
    with_batch,
    with_edges,
    with_energy,
    with_prediction,
)
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.students.interaction import Edges, Interaction


@fault(
    caught_by=["rotation_equivariance", "matches_golden"],
    sizes=[1e-10, 1e-8, 1e-6, 1e-4, 1e-2],
    unit="relative",
    limit=1e-6,
)
def mixed_axes(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Vector features are mixed across x, y and z.

    The defect of the students that this project began with: their energies depended on how a
    molecule was turned, and nobody had looked.
    """
    mixing = torch.eye(3, dtype=torch.float64)
    mixing[0, 1] = size
    original = Interaction.forward

    def forward(
        self: Interaction, scalars: Tensor, vectors: Tensor | None, edges: Edges
    ) -> tuple[Tensor, Tensor]:
        scalars, found = original(self, scalars, vectors, edges)
        return scalars, torch.einsum("xy,nyh->nxh", mixing.to(found.dtype), found)

    with patch.object(Interaction, "forward", forward):
        yield healthy.student()


@fault(
    caught_by=["rotation_equivariance", "matches_golden"],
    sizes=[1e-9, 1e-8, 1e-7, 1e-6],
    unit="eV",
    limit=1e-7,
)
def up_is_special(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """The energy depends on whether the nearest neighbour lies above.

    A feature in the frame of the laboratory, such as an angle to the z axis.
    """

    def extra(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        atoms, edge = nearest_neighbours(numbers, vectors, edges)
        energies = torch.zeros(len(numbers), dtype=torch.float64)
        energies[atoms] = size * (vectors[edge, 2].detach() > 0).double()
        return energies

    yield with_energy(healthy.student(), extra)


@fault(
    caught_by=["rotation_equivariance", "matches_golden"],
    sizes=[1e-9, 1e-8, 1e-7, 1e-6],
    unit="eV",
    limit=1e-7,
)
def left_is_not_right(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """A molecule and its mirror image have different energies.

    A pseudoscalar among the features, as equivariant networks have them by a wrong parity.
    """

    def extra(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        energies = torch.zeros(len(numbers), dtype=torch.float64)
        away = vectors.detach().norm(dim=1)
        for atom in edges[1].unique():
            own = torch.nonzero(edges[1] == atom).squeeze(1)
            three = vectors.detach()[own[away[own].argsort()[:3]]]
            if len(three) == 3:
                energies[atom] = size * (torch.linalg.det(three) > 0).double()
        return energies

    yield with_energy(healthy.student(), extra)


@fault(
    caught_by=["net_force_and_torque", "matches_golden"],
    sizes=[1e-10, 1e-9, 1e-8, 1e-7],
    unit="eV/Å",
    limit=1e-7,
)
def everything_is_pushed(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Forces on a molecule do not add up to zero.

    Forces that are rounded, or corrected for a drift that there was not.
    """

    def pushed(batch: Batch, prediction: Prediction) -> Prediction:
        push = torch.zeros_like(prediction.forces)
        push[batch.edge_index[1]] = size  # atoms without neighbours feel nothing
        return replace(prediction, forces=prediction.forces + push)

    yield with_prediction(healthy.student(), pushed)


@fault(caught_by=["permutation_invariance", "matches_golden"], sizes=[0.01, 0.1], unit="of values")
def evaluation_mode_forgotten(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Dropout is still at work.

    Training has it, and nobody called ``eval()``: each evaluation gives something else.
    """
    original = Interaction.forward

    def forward(
        self: Interaction, scalars: Tensor, vectors: Tensor | None, edges: Edges
    ) -> tuple[Tensor, Tensor]:
        scalars, vectors = original(self, scalars, vectors, edges)
        return torch.nn.functional.dropout(scalars, size, training=True), vectors

    with patch.object(Interaction, "forward", forward):
        yield healthy.student()


@fault(caught_by=["translation_invariance"], sizes=[500.0, 100.0, 20.0][::-1], unit="Å", limit=20.0)
def grid_of_fixed_extent(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Atoms far from the origin have no neighbours.

    A cell list of fixed extent, or a table of sines that ends: molecules near the origin, as in
    every test, are right.
    """

    def only_within_the_grid(batch: Batch) -> Batch:
        outside = (batch.positions.abs() > size).any(dim=1)
        return with_edges(batch, ~outside[batch.edge_index[1]])

    yield with_batch(healthy.student(), only_within_the_grid)


@fault(
    caught_by=["permutation_invariance", "matches_golden"],
    sizes=[1e-9, 1e-8, 1e-7, 1e-6],
    unit="eV",
    limit=1e-7,
)
def order_of_atoms(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """The energy depends on how atoms are numbered.

    Something is done for the pairs with ``i < j`` only, and not for the others.
    """

    def extra(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        atoms, edge = nearest_neighbours(numbers, vectors, edges)
        energies = torch.zeros(len(numbers), dtype=torch.float64)
        energies[atoms] = size * (edges[0, edge] > atoms).double()
        return energies

    yield with_energy(healthy.student(), extra)


@fault(
    caught_by=["size_consistency"],
    sizes=[1e-9, 1e-8, 1e-7, 1e-6, 1e-4],
    unit="eV",
    limit=1e-6,
    seen_in="FAIR-Chem/fairchem#1215",
)
def energy_of_the_whole(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Two molecules far apart have another energy than each alone.

    A feature of the whole structure: attention over all atoms, a mean, the total charge.
    """

    def interacting(batch: Batch, prediction: Prediction) -> Prediction:
        energy = prediction.energy.clone()
        for index, atoms in enumerate(atoms_of_each(batch)):
            kinds = len(set(batch.numbers[atoms].tolist()))
            energy[index] += size * kinds
        return replace(prediction, energy=energy)

    yield with_prediction(healthy.student(), interacting)


@fault(caught_by=["size_consistency"], sizes=[1e-6, 1e-5, 1e-4], unit="eV Å", limit=1e-4)
def interaction_without_cutoff(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Atoms repel each other, however far apart they are.

    A Coulomb term that is not switched off, in a model that is said to be short-ranged; energy and
    forces agree.
    """

    def interacting(batch: Batch, prediction: Prediction) -> Prediction:
        energy, forces = prediction.energy.clone(), prediction.forces.clone()
        for index, atoms in enumerate(atoms_of_each(batch)):
            if batch.pbc[index].any() or len(atoms) < 2:
                continue
            positions = batch.positions[atoms].clone().requires_grad_()
            repulsion = (size / (torch.pdist(positions) + 10.0)).sum()
            (gradient,) = torch.autograd.grad(repulsion, positions)
            energy[index] += repulsion.detach()
            forces[atoms] -= gradient
        return replace(prediction, energy=energy, forces=forces)

    yield with_prediction(healthy.student(), interacting)
