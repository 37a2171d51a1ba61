"""A student as one graph of plain operations: what every format is made from.

Exporters of gradients are the weak spot of every format: some refuse `torch.autograd.grad`, some
bake sizes, some are wrong in silence. So energies and the gradient are traced first, into a flat
graph of ATen operations (PyTorch's `make_fx`), and exporters see no autograd at all.

Sizes of zero and one are special to tracers and compilers: what holds for two atoms may fail for
one. The graph therefore appends a structure of its own to every batch, two hydrogen atoms with two
edges, and drops what it computes for it: inside, there are always several structures and edges.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.fx import GraphModule
from torch.fx.experimental import _config as fx_config
from torch.fx.experimental.proxy_tensor import make_fx

from mlffd.export.decompositions import DECOMPOSITIONS
from mlffd.structures.batch import Batch, collate
from mlffd.structures.structure import Structure
from mlffd.students import Student

#: What the graph takes, in this order: fields of `Batch`.
INPUTS = ("numbers", "positions", "edge_index", "shifts", "structure_index", "atom_counts")

_HYDROGEN = 1
_BOND_LENGTH = 0.75


def outputs_of(student: Student) -> tuple[str, ...]:
    """Names of what the graph returns: the virial only of students that know cells."""
    return ("energy", "forces", "virial") if student.honours_cells else ("energy", "forces")


def inputs_of(batch: Batch) -> tuple[Tensor, ...]:
    """The arrays of a batch that the graph takes, each contiguous: some runtimes read no strides.

    Raises:
        ValueError: half of the neighbour list is missing.
    """
    if batch.half_list:
        raise ValueError("a graph needs every edge in both directions")
    return tuple(getattr(batch, name).contiguous() for name in INPUTS)


class ForceField(nn.Module):
    """Energies, forces and virials of a batch given as plain tensors.

    Args:
        student: what to compute; its weights' dtype is that of positions and forces.
    """

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(
        self,
        numbers: Tensor,
        positions: Tensor,
        edge_index: Tensor,
        shifts: Tensor,
        structure_index: Tensor,
        atom_counts: Tensor,
    ) -> tuple[Tensor, ...]:
        """See `Batch` for the inputs.

        Returns:
            Energy in eV, float64 ``[B]``; forces in eV/Å, ``[N, 3]``; and, if the student knows
            cells, the virial ``-dE/dstrain`` in eV, ``[B, 3, 3]``.
        """
        atoms, structures = numbers.shape[0], atom_counts.shape[0]
        apart = positions.new_tensor([[0.0, 0.0, 0.0], [_BOND_LENGTH, 0.0, 0.0]])
        bond = torch.tensor([[1, 0], [0, 1]], device=numbers.device)
        numbers = torch.cat([numbers, torch.full_like(bond[0], _HYDROGEN)])
        positions = torch.cat([positions, apart])
        edge_index = torch.cat([edge_index, bond + atoms], dim=1)
        shifts = torch.cat([shifts, torch.zeros_like(apart)])
        structure_index = torch.cat([structure_index, torch.zeros_like(bond[0]) + structures])

        source, destination = edge_index.unbind()
        vectors = (positions[source] - positions[destination] + shifts).detach().requires_grad_()
        with torch.enable_grad():
            atomic = self.student.atomic_energies(numbers, vectors, edge_index)
            (gradient,) = torch.autograd.grad(atomic.sum(), vectors)
        energy = atomic.new_zeros(structures + 1).index_add(0, structure_index, atomic.detach())
        forces = torch.zeros_like(positions).index_add(0, destination, gradient)
        forces = forces.index_add(0, source, -gradient)
        if not self.student.honours_cells:
            return energy[:structures], forces[:atoms]
        per_edge = -vectors.detach()[:, :, None] * gradient[:, None, :]
        # By way of the atoms: shorter sums, which round less and which some formats pad less.
        per_atom = positions.new_zeros(atoms + 2, 3, 3).index_add(0, destination, per_edge)
        virial = positions.new_zeros(structures + 1, 3, 3)
        virial = virial.index_add(0, structure_index, per_atom)
        return energy[:structures], forces[:atoms], virial[:structures]


def trace(student: Student) -> GraphModule:
    """The graph of a student: inputs as in `INPUTS`, outputs as in `outputs_of`, any sizes.

    Args:
        student: is traced in the dtype and on the device of its weights, which the graph holds;
            they no longer need gradients.
    """
    student.requires_grad_(False)
    with fx_config.patch(use_duck_shape=False):  # type: ignore[attr-defined]
        # Sizes that are equal by chance in the example are not equal in every batch.
        return make_fx(
            ForceField(student),
            decomposition_table=DECOMPOSITIONS,
            tracing_mode="symbolic",
            _allow_non_fake_inputs=True,
        )(*inputs_of(example_for(student)))


def exported_program(student: Student) -> ExportedProgram:
    """The graph of a student as a `torch.export` program, sizes dynamic."""
    module = _Named(trace(student))
    atoms, edges, structures = Dim("atoms", min=1), Dim("edges", min=0), Dim("structures", min=1)
    return export(
        module,
        inputs_of(example_for(student)),
        dynamic_shapes={
            "numbers": {0: atoms},
            "positions": {0: atoms},
            "edge_index": {1: edges},
            "shifts": {0: edges},
            "structure_index": {0: atoms},
            "atom_counts": {0: structures},
        },
    )


def example_for(student: Student) -> Batch:
    """Three chains of atoms: sizes that are all different, and none of them zero or one."""
    weights = next(student.parameters())
    chains = [
        Structure(
            numbers=np.full(count, _HYDROGEN),
            positions=np.arange(count)[:, None] * np.array([1.2, 0.3, 0.1]),
        )
        for count in (5, 3, 7)
    ]
    return collate(
        chains,
        student.cutoff,
        dtype=weights.dtype,
        device=weights.device,
        periodic=student.honours_cells,
    )


class _Named(nn.Module):
    """Gives the inputs of a graph their names.

    The graph is not called ``graph``: that is what modules of `torch.fx` call their own.
    """

    def __init__(self, graph: GraphModule) -> None:
        super().__init__()
        self.traced = graph

    def forward(
        self,
        numbers: Tensor,
        positions: Tensor,
        edge_index: Tensor,
        shifts: Tensor,
        structure_index: Tensor,
        atom_counts: Tensor,
    ) -> Any:  # noqa: ANN401 - a tuple of tensors, as the graph returns it
        return self.traced(numbers, positions, edge_index, shifts, structure_index, atom_counts)
