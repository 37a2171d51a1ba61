"""A layer of `StudentForceField`: what neighbours send, and what an atom makes of it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Under the root of the length of a vector feature: wide enough that the length stays smooth where
#: symmetry makes the vector vanish (linear molecules, where dynamics drifted with 1e-6).
NORM_EPSILON = 1e-2


class Edges(NamedTuple):
    """What messages travel along.

    Attributes:
        ends: source and destination, int64 ``[2, E]``.
        directions: unit vectors, ``[E, 3]``.
        basis: radial basis of the distances, ``[D, rbf]``.
        envelope: that vanishes at the cutoff, ``[D]``.
        mirrored: whether D is E / 2, see `Student.atomic_energies`.
    """

    ends: Tensor
    directions: Tensor
    basis: Tensor
    envelope: Tensor
    mirrored: bool

    def both_ways(self, values: Tensor) -> Tensor:
        """Values ``[E, ...]`` of all edges from those of distances, ``[D, ...]``."""
        return torch.cat([values, values]) if self.mirrored else values


class _Message(nn.Module):
    def __init__(self, hidden: int, rbf: int, revision: int) -> None:
        super().__init__()
        self.revision = revision
        self.rbf_to_scalar = nn.Sequential(
            nn.Linear(rbf, hidden), nn.SiLU(), nn.Linear(hidden, 3 * hidden)
        )

    def forward(
        self,
        scalars: Tensor,
        vectors: Tensor | None,
        edges: Edges,
    ) -> tuple[Tensor, Tensor]:
        """Add what the neighbours send: scalars ``[N, h]``, vectors ``[N, 3, h]``; None is zero."""
        source, destination = edges.ends
        filters = self.rbf_to_scalar(edges.basis)
        if self.revision > 1:
            filters = filters * edges.envelope[:, None]
        scalar_filter, vector_filter, direction_filter = edges.both_ways(filters).chunk(3, dim=1)
        sent_scalars = scalars[source]
        if self.revision > 1:
            direction_filter = direction_filter * sent_scalars
        vector_message = edges.directions[:, :, None] * direction_filter[:, None, :]
        if vectors is None:
            vectors = scalars.new_zeros(scalars.shape[0], 3, scalars.shape[1])
        else:
            vector_message = vector_message + vectors[source] * vector_filter[:, None, :]
        return (
            scalars.index_add(0, destination, sent_scalars * scalar_filter),
            vectors.index_add(0, destination, vector_message),
        )


class _Update(nn.Module):
    """Mix scalars and vectors of the same atom.

    The last layer of ``update_mlp`` has ``3 h`` outputs. Revision 1 multiplies vectors with two of
    the three parts, ``keep`` and ``mix``, which a single one can do as well. So revision 2 computes
    only ``delta`` and ``keep``, and takes what belongs to the third part as the linear map of
    vector channels that PaiNN's update (eqs. 9 and 10) has and revision 1 lacks: the ``[h, h]``
    rows of the weights as the map, the ``[h]`` biases as factors of the scalar products of vectors
    with their images. At the same number of parameters errors fall by a fifth.
    """

    def __init__(self, hidden: int, revision: int) -> None:
        super().__init__()
        self.revision = revision
        self.update_mlp = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, 3 * hidden)
        )
        self.mixing_matrix = nn.Parameter(torch.eye(3))

    def forward(self, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """New scalars ``[N, h]`` and vectors ``[N, 3, h]``."""
        if self.revision == 1:
            return self._revision_1(scalars, vectors)
        first, activation, last = self.update_mlp
        assert isinstance(last, nn.Linear)
        hidden = scalars.shape[1]
        # Of the matrix that revision 1 mixes x, y and z with, only this keeps directions.
        scale = self.mixing_matrix.diagonal().mean()
        mixed = functional.linear(scale * vectors, last.weight[2 * hidden :])
        norms = torch.sqrt((mixed**2).sum(dim=1) + NORM_EPSILON)
        inner = activation(first(torch.cat([scalars, norms], dim=1)))
        delta, keep = functional.linear(
            inner, last.weight[: 2 * hidden], last.bias[: 2 * hidden]
        ).chunk(2, dim=1)
        products = last.bias[2 * hidden :] * (vectors * mixed).sum(dim=1)
        return scalars + delta + products, vectors * keep[:, None, :] + mixed

    def _revision_1(self, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        # The norm has a kink at zero and the matrix mixes x, y and z: both are defects.
        norms = torch.linalg.vector_norm(vectors, dim=1)
        mixed = torch.einsum("xy,nyh->nxh", self.mixing_matrix, vectors)
        delta, keep, mix = self.update_mlp(torch.cat([scalars, norms], dim=1)).chunk(3, dim=1)
        return scalars + delta, vectors * keep[:, None, :] + mixed * mix[:, None, :]


class Interaction(nn.Module):
    """One layer: atoms hear of their neighbours, then each makes up its mind.

    Args:
        hidden: features per atom, h.
        rbf: functions in the radial basis.
        revision: of `StudentForceField`.
    """

    def __init__(self, hidden: int, rbf: int, revision: int) -> None:
        super().__init__()
        self.message = _Message(hidden, rbf, revision)
        self.update = _Update(hidden, revision)

    def forward(
        self, scalars: Tensor, vectors: Tensor | None, edges: Edges
    ) -> tuple[Tensor, Tensor]:
        """New scalars ``[N, h]`` and vectors ``[N, 3, h]``; vectors that are None are zero."""
        scalars, vectors = self.message(scalars, vectors, edges)
        scalars, vectors = self.update(scalars, vectors)
        return scalars, vectors
