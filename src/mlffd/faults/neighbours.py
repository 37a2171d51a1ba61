"""Faults of neighbour lists, of batches and of periodic boundaries."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import atoms_of_each, with_batch, with_edges, with_prediction
from mlffd.structures.batch import Batch, collate
from mlffd.structures.prediction import Prediction
from mlffd.structures.structure import Structure


@fault(caught_by=["matches_golden"], sizes=[1e-3, 1e-2, 0.1, 0.5], unit="Å", limit=0.5)
def cutoff_too_short(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Neighbours are sought within less than the cutoff.

    A cutoff that is set in two places, or in another unit; near the cutoff messages are weak, so
    that little is lost at first.
    """

    def nearer(batch: Batch) -> Batch:
        return with_edges(batch, batch.vectors().norm(dim=1) < healthy.student_cutoff - size)

    yield with_batch(healthy.student(), nearer)


@fault(caught_by=["periodic_images", "matches_golden"])
def shifts_missing(healthy: Healthy) -> Iterator[StudentSubject]:
    """Edges across a boundary have no shift.

    Neighbours are found periodically, and vectors are then taken inside the cell.
    """
    yield with_batch(healthy.student(), lambda b: replace(b, shifts=torch.zeros_like(b.shifts)))


@fault(caught_by=["periodic_images", "matches_golden"])
def shifts_of_the_other_sign(healthy: Healthy) -> Iterator[StudentSubject]:
    """Edges across a boundary point to the other side.

    Libraries differ in whether the shift is that of the source or of the destination.
    """
    yield with_batch(healthy.student(), lambda batch: replace(batch, shifts=-batch.shifts))


@fault(caught_by=["periodic_images"])
def nearest_image_only(healthy: Healthy) -> Iterator[StudentSubject]:
    """Of several images of a neighbour only the nearest counts.

    The minimum image convention, in cells that are smaller than twice the cutoff.
    """

    def minimum_image(batch: Batch) -> Batch:
        if not batch.edge_index.shape[1]:
            return batch
        distances = batch.vectors().norm(dim=1)
        pair = batch.edge_index[0] * len(batch.numbers) + batch.edge_index[1]
        _, inverse = torch.unique(pair, return_inverse=True)
        nearest = torch.full((int(inverse.max()) + 1,), torch.inf, dtype=distances.dtype)
        nearest = nearest.scatter_reduce(0, inverse, distances, "amin")
        return with_edges(batch, distances <= nearest[inverse])

    yield with_batch(healthy.student(), minimum_image)


@fault(caught_by=["periodic_images"])
def slab_repeated_across(healthy: Healthy) -> Iterator[StudentSubject]:
    """A slab is periodic in all three directions.

    One flag for three; some programs know no other.
    """

    def repeated(batch: Batch) -> Batch:
        structures = [
            Structure(
                batch.numbers[atoms].numpy(),
                batch.positions[atoms].numpy(),
                cell=cell.numpy(),
                pbc=np.full(3, bool(pbc.any())),
            )
            for atoms, cell, pbc in zip(atoms_of_each(batch), batch.cells, batch.pbc, strict=True)
        ]
        return collate(structures, healthy.student_cutoff)

    yield with_batch(healthy.student(), repeated)


@fault(caught_by=["batch_invariance"])
def neighbours_across_structures(healthy: Healthy) -> Iterator[StudentSubject]:
    """Atoms of different structures of a batch are neighbours.

    A search over all positions at once, without a look at which structure they belong to.
    """

    def together(batch: Batch) -> Batch:
        whole = Structure(batch.numbers.numpy(), batch.positions.numpy())
        # Within the cutoff, molecules around one origin would have thousands of neighbours each.
        found = collate([whole], 1.0)
        index = batch.structure_index
        across = index[found.edge_index[0]] != index[found.edge_index[1]]
        # Atoms that lie on each other have no direction to each other.
        across &= found.vectors().norm(dim=1) > 0.5
        return replace(
            batch,
            edge_index=torch.cat([batch.edge_index, found.edge_index[:, across]], dim=1),
            shifts=torch.cat([batch.shifts, found.shifts[across]]),
        )

    yield with_batch(healthy.student(), together)


@fault(caught_by=["batch_invariance"])
def structure_index_of_eight_bits(healthy: Healthy) -> Iterator[StudentSubject]:
    """Energies of structures beyond the 127th are added to the wrong ones.

    An index in a small integer type, to save memory; small batches are right.
    """

    def overflowing(batch: Batch, prediction: Prediction) -> Prediction:
        wrapped = torch.arange(len(batch)).to(torch.int8).to(torch.int64) % len(batch)
        energy = torch.zeros_like(prediction.energy).index_add(0, wrapped, prediction.energy)
        return replace(prediction, energy=energy)

    yield with_prediction(healthy.student(), overflowing)


def _edges(change: Callable[[Tensor], Tensor], healthy: Healthy) -> StudentSubject:
    """The student with other edges: ``change`` gives their indices from their number ``[E]``."""

    def chosen(batch: Batch) -> Batch:
        return with_edges(batch, change(torch.arange(batch.edge_index.shape[1])))

    return with_batch(healthy.student(), chosen)


@fault(caught_by=["matches_golden", "batch_invariance"])
def last_neighbour_dropped(healthy: Healthy) -> Iterator[StudentSubject]:
    """The last edge of a batch is lost.

    An end of a range that is one too small.
    """
    yield _edges(lambda edges: edges[:-1], healthy)


@fault(caught_by=["matches_golden", "batch_invariance"])
def one_edge_twice(healthy: Healthy) -> Iterator[StudentSubject]:
    """The first edge of a batch is there twice.

    Two cells of a cell list that overlap.
    """
    yield _edges(lambda edges: torch.cat([edges, edges[:1]]), healthy)


@fault(caught_by=["matches_golden"])
def every_edge_twice(healthy: Healthy) -> Iterator[StudentSubject]:
    """Each neighbour counts twice.

    A full list that is taken for a half one, and completed.
    """
    yield _edges(lambda edges: torch.cat([edges, edges]), healthy)


@fault(caught_by=["matches_golden"])
def half_list_taken_for_a_full_one(healthy: Healthy) -> Iterator[StudentSubject]:
    """Of two atoms only one hears of the other.

    A list with each pair once, as molecular dynamics programs have it.
    """

    def half(batch: Batch) -> Batch:
        return with_edges(batch, batch.edge_index[0] >= batch.edge_index[1])

    yield with_batch(healthy.student(), half)


@fault(caught_by=["matches_golden"])
def every_atom_its_own_neighbour(healthy: Healthy) -> Iterator[StudentSubject]:
    """There is an edge from each atom to itself.

    A distance matrix whose diagonal was forgotten.
    """

    def with_loops(batch: Batch) -> Batch:
        atoms = torch.arange(len(batch.numbers))
        return replace(
            batch,
            edge_index=torch.cat([batch.edge_index, torch.stack([atoms, atoms])], dim=1),
            shifts=torch.cat([batch.shifts, batch.shifts.new_zeros(len(atoms), 3)]),
        )

    yield with_batch(healthy.student(), with_loops)


@fault(caught_by=["matches_golden"])
def edges_sorted_by_halves(healthy: Healthy) -> Iterator[StudentSubject]:
    """Sources are sorted, and their destinations are not sorted along.

    A kernel that wants sorted edges, and a sort of one row only.
    """

    def sorted_sources(batch: Batch) -> Batch:
        source, destination = batch.edge_index
        return replace(batch, edge_index=torch.stack([source.sort().values, destination]))

    yield with_batch(healthy.student(), sorted_sources)


@fault(caught_by=["size_consistency"])
def large_structures_without_neighbours(healthy: Healthy) -> Iterator[StudentSubject]:
    """Structures of more than 28 atoms have no neighbours.

    A table of neighbours with a fixed number of rows.
    """

    def only_small(batch: Batch) -> Batch:
        sizes = batch.atom_counts[batch.structure_index[batch.edge_index[1]]]
        return with_edges(batch, sizes <= 28)

    yield with_batch(healthy.student(), only_small)


def _with_stress(
    healthy: Healthy, change: Callable[[Batch, Tensor], Tensor]
) -> Iterator[StudentSubject]:
    def changed(batch: Batch, prediction: Prediction) -> Prediction:
        if prediction.stress is None:
            return prediction
        return replace(prediction, stress=change(batch, prediction.stress))

    yield with_prediction(healthy.student(), changed)


@fault(caught_by=["stress_is_strain_derivative"])
def stress_sign(healthy: Healthy) -> Iterator[StudentSubject]:
    """Stress is pressure.

    Programs differ in its sign.
    """
    yield from _with_stress(healthy, lambda batch, stress: -stress)


@fault(
    caught_by=["stress_is_strain_derivative"], sizes=[1e-6, 1e-4, 1e-2], unit="relative", limit=1e-2
)
def stress_scaled(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Stress is too large.

    Divided by the volume before a deformation instead of after it.
    """
    yield from _with_stress(healthy, lambda batch, stress: (1 + size) * stress)


@fault(caught_by=["stress_is_strain_derivative"])
def stress_in_another_order(healthy: Healthy) -> Iterator[StudentSubject]:
    """The shear components are exchanged.

    Voigt's order is yz, xz, xy; others write xy, xz, yz. A transposed stress would be the same.
    """
    order = torch.tensor([2, 1, 0])

    def reordered(_: Batch, stress: Tensor) -> Tensor:
        shear = stress[:, order][:, :, order]
        diagonal = torch.eye(3, dtype=torch.bool)
        return torch.where(diagonal, stress, shear)

    yield from _with_stress(healthy, reordered)


@fault(caught_by=["stress_is_strain_derivative"])
def volume_with_a_sign(healthy: Healthy) -> Iterator[StudentSubject]:
    """Left-handed cells have a stress of the other sign.

    The determinant of a cell is its volume only where its vectors are in the right order.
    """
    yield from _with_stress(
        healthy,
        lambda batch, stress: stress * torch.linalg.det(batch.cells).sign()[:, None, None],
    )


@fault(caught_by=["batch_invariance"])
def stress_lost_in_company(healthy: Healthy) -> Iterator[StudentSubject]:
    """Cells that share a batch with molecules have no stress.

    One flag for the whole batch.
    """

    def lost(batch: Batch, stress: Tensor) -> Tensor:
        return stress if bool(batch.pbc.all(dim=1).all()) else 0 * stress

    yield from _with_stress(healthy, lost)
