"""What every student is: a network of atomic energies, and one way to differentiate it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction


class Student(nn.Module, ABC):
    """A potential whose energy is a sum of atomic terms that depend on edge vectors only.

    Subclasses give `atomic_energies`; forces and stress follow from one gradient with respect to
    the edge vectors ``r_e``. With ``g_e = dE/dr_e``, an edge j -> i pulls atom i with ``+g_e`` and
    atom j with ``-g_e``, and under a strain ``r -> r (1 + strain)`` the energy changes by
    ``dE/dstrain = sum_e r_e (x) g_e`` (the virial theorem; Thompson, Plimpton and Mattson,
    J. Chem. Phys. 131, 154107 (2009), for the periodic case).

    Attributes:
        max_z: the largest atomic number that it has weights for.
        cutoff: Å; atoms further apart exchange no message.
        revision: of the function; the same weights in another revision mean something else.
        honours_cells: whether neighbours are to be sought across periodic boundaries.
    """

    architecture: ClassVar[str]
    max_z: int
    cutoff: float
    revision: int
    honours_cells: bool

    @abstractmethod
    def atomic_energies(
        self, numbers: Tensor, vectors: Tensor, edge_index: Tensor, *, mirrored: bool = False
    ) -> Tensor:
        """Atomic energies in eV, float64 ``[N]``.

        Args:
            numbers: atomic numbers, int64 ``[N]``.
            vectors: edge vectors in Å, ``[E, 3]``.
            edge_index: int64 ``[2, E]``, source and destination.
            mirrored: whether edge ``e + E/2`` is edge ``e`` seen from its other end, so that what
                depends on the distance alone need be computed for one half only.
        """

    @property
    @abstractmethod
    def config(self) -> dict[str, int | float]:
        """Everything besides weights that the constructor needs, as plain numbers."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Build with initial weights.

        Raises:
            InputError: a key is missing, unknown or out of range.
        """

    @classmethod
    @abstractmethod
    def infer_config(cls, weights: Mapping[str, Tensor]) -> dict[str, int | float] | None:
        """The config that weights of these names and shapes belong to; None: not this class."""

    @classmethod
    @abstractmethod
    def trained_elements(cls, weights: Mapping[str, Tensor]) -> frozenset[int] | None:
        """Atomic numbers whose weights were moved by training; None: the weights do not tell."""

    def forward(
        self, batch: Batch, *, stress: bool = False, create_graph: bool = False
    ) -> Prediction:
        """Predict energies, forces and, if asked for, stresses.

        Args:
            batch: in the dtype and on the device of the weights.
            stress: also compute the stress.
            create_graph: keep the graph, so that a loss on forces can be differentiated.

        Raises:
            ValueError: stress of a student that ignores cells.
        """
        if stress and not self.honours_cells:
            raise ValueError(f"revision {self.revision} ignores cells: it has no stress")
        with torch.enable_grad():
            vectors = batch.vectors().detach().requires_grad_()
            if batch.half_list:
                atomic = self.atomic_energies(
                    batch.numbers,
                    torch.cat([vectors, -vectors]),
                    torch.cat([batch.edge_index, batch.edge_index.flip(0)], dim=1),
                    mirrored=True,
                )
            else:
                atomic = self.atomic_energies(batch.numbers, vectors, batch.edge_index)
            (gradient,) = torch.autograd.grad(atomic.sum(), vectors, create_graph=create_graph)
        source, destination = batch.edge_index
        energy = atomic.new_zeros(batch.atom_counts.shape[0])
        energy = energy.index_add(0, batch.structure_index, atomic)
        forces = torch.zeros_like(batch.positions).index_add(0, destination, gradient)
        forces = forces.index_add(0, source, -gradient)
        prediction_stress = None
        if stress:
            per_edge = vectors.detach()[:, :, None] * gradient[:, None, :]
            strain_derivative = torch.zeros_like(batch.cells).index_add(
                0, batch.structure_index[destination], per_edge
            )
            prediction_stress = strain_derivative / batch.volumes()[:, None, None]
        if not create_graph:
            energy = energy.detach()
        return Prediction(energy=energy, forces=forces, stress=prediction_stress)

    @property
    def parameter_count(self) -> int:
        """How many trainable numbers there are (buffers not counted)."""
        return sum(p.numel() for p in self.parameters())
