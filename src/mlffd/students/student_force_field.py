"""StudentForceField: a small PaiNN-like message-passing network, in two revisions.

The form follows PaiNN (Schütt, Unke and Gastegger, ICML 2021, arXiv:2102.03150): scalar and
vector features per atom, filters that depend on distance. Revision 1 is the function that legacy
checkpoints were trained with, defects included. Revision 2 has the same parameters and mends it:

- vectors are mixed across channels, never across x, y and z, so that forces rotate with the
  molecule; see `mlffd.students.interaction` for where the weights of the mixing come from;
- the filter itself vanishes smoothly at the cutoff, not only the radial basis;
- the directional message is multiplied by the neighbour's scalar features (PaiNN, eq. 8);
- norms are ``sqrt(sum + epsilon)``, differentiable twice at zero vectors;
- element reference energies are a float64 buffer, so that a float32 network keeps them exact;
- periodic images count, and there is a stress.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from mlffd.errors import InputError
from mlffd.students.base import Student
from mlffd.students.interaction import Edges, Interaction
from mlffd.students.registry import register

#: In Å² under the root of a distance. ONNX optimizers delete ``+ eps`` for eps <= 1e-8.
EPSILON = 1e-6

#: The embeddings of the reference implementation start uniform in +-sqrt(3), of unit variance.
EMBEDDING_BOUND = math.sqrt(3.0)


@dataclass(frozen=True)
class StudentForceFieldConfig:
    """What besides the weights defines a `StudentForceField`.

    Attributes:
        hidden_dim: features per atom, a multiple of 4.
        num_interactions: message-passing layers.
        num_rbf: Gaussians in the radial basis.
        cutoff: Å.
        max_z: largest atomic number with an embedding.
        revision: 1 or 2, see the module.
    """

    hidden_dim: int
    num_interactions: int
    num_rbf: int
    cutoff: float = 5.0
    max_z: int = 100
    revision: int = 2

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            kinds = (int, float) if item.type is float else (int,)
            is_number = isinstance(value, kinds) and not isinstance(value, bool)
            if not is_number or not 0 < value < math.inf:
                raise InputError(
                    f"config: {item.name} is {value!r}, expected a positive {kinds[-1].__name__}"
                )
        if self.hidden_dim % 4:
            raise InputError(f"config: hidden_dim is {self.hidden_dim}, expected a multiple of 4")
        if self.num_rbf < 2:
            raise InputError(f"config: num_rbf is {self.num_rbf}, expected 2 or more")
        if self.revision not in (1, 2):
            raise InputError(f"config: revision is {self.revision}, expected 1 or 2")


class _RadialBasis(nn.Module):
    """Gaussians ``exp(-((d - mu)/w)^2)`` with centers spread evenly up to the cutoff."""

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        self.centers: Tensor
        self.widths: Tensor
        self.register_buffer("centers", torch.linspace(0.0, cutoff, count))
        self.register_buffer("widths", torch.full((count,), cutoff / count))

    def forward(self, distances: Tensor) -> Tensor:
        return torch.exp(-(((distances[:, None] - self.centers) / self.widths) ** 2))


@register("StudentForceField")
class StudentForceField(Student):
    """The reference architecture; see the module for what the revisions are.

    Initial weights are random (seed torch first); embeddings start uniform in ±sqrt(3).
    """

    def __init__(self, config: StudentForceFieldConfig) -> None:
        super().__init__()
        hidden = config.hidden_dim
        self._config = config
        self.max_z = config.max_z
        self.cutoff = float(config.cutoff)
        self.revision = config.revision
        self.honours_cells = config.revision > 1
        self.embedding = nn.Embedding(config.max_z + 1, hidden)
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_BOUND, EMBEDDING_BOUND)
        self.rbf = _RadialBasis(config.num_rbf, config.cutoff)
        self.interactions = nn.ModuleList(
            Interaction(hidden, config.num_rbf, config.revision)
            for _ in range(config.num_interactions)
        )
        self.energy_head = nn.Sequential(
            nn.Linear(hidden, hidden // 2),
            nn.SiLU(),
            nn.Linear(hidden // 2, hidden // 4),
            nn.SiLU(),
            nn.Linear(hidden // 4, 1),
        )
        self.reference_energies: Tensor | None
        references = torch.zeros(config.max_z + 1, dtype=torch.float64)
        self.register_buffer("reference_energies", references if config.revision > 1 else None)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # `.float()` must not round the reference energies: they are thousands of eV.
        references = self.reference_energies
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if references is not None and self.reference_energies is not None:
            self.reference_energies = references.to(self.reference_energies.device)
        return self

    def atomic_energies(
        self, numbers: Tensor, vectors: Tensor, edge_index: Tensor, *, mirrored: bool = False
    ) -> Tensor:
        """See `Student.atomic_energies`."""
        edges = self._edges(vectors, edge_index, mirrored)
        scalars = self.embedding(numbers)
        features = None
        for interaction in self.interactions:
            scalars, features = interaction(scalars, features, edges)
        energies: Tensor = self.energy_head(scalars).squeeze(1).double()
        if self.reference_energies is not None:
            energies = energies + self.reference_energies[numbers]
        return energies

    def _edges(self, vectors: Tensor, edge_index: Tensor, mirrored: bool) -> Edges:
        once = vectors.chunk(2)[0] if mirrored else vectors
        if self.revision == 1:
            distances = torch.linalg.vector_norm(once, dim=1)
            lengths = distances + 1e-8
        else:
            distances = lengths = torch.sqrt((once**2).sum(dim=1) + EPSILON)
        inside = (distances < self.cutoff).to(distances.dtype)
        envelope = 0.5 * (torch.cos(math.pi * distances / self.cutoff) + 1.0) * inside
        basis = self.rbf(distances) * envelope[:, None]
        inverse = 1.0 / lengths
        directions = vectors * (torch.cat([inverse, inverse]) if mirrored else inverse)[:, None]
        return Edges(edge_index, directions, basis, envelope, mirrored)

    @property
    def config(self) -> dict[str, int | float]:
        """See `Student.config`."""
        return asdict(self._config)

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """See `Student.from_config`."""
        known = {item.name for item in fields(StudentForceFieldConfig)}
        if unknown := set(config) - known:
            raise InputError(
                f"config: unknown keys {sorted(unknown)}; known: {', '.join(sorted(known))}"
            )
        if missing := {"hidden_dim", "num_interactions", "num_rbf"} - set(config):
            raise InputError(f"config: missing keys {sorted(missing)}")
        values: dict[str, Any] = dict(config)
        return cls(StudentForceFieldConfig(**values))

    @classmethod
    def infer_config(cls, weights: Mapping[str, Tensor]) -> dict[str, int | float] | None:
        """See `Student.infer_config`. Reference energies exist from revision 2 on."""
        embedding, centers = weights.get("embedding.weight"), weights.get("rbf.centers")
        if embedding is None or centers is None or embedding.dim() != 2 or centers.dim() != 1:
            return None
        layers = {key.split(".")[1] for key in weights if key.startswith("interactions.")}
        if not layers or not len(centers) or not torch.isfinite(centers[-1]):
            return None
        return {
            "hidden_dim": embedding.shape[1],
            "num_interactions": len(layers),
            "num_rbf": len(centers),
            "cutoff": float(centers[-1]),
            "max_z": embedding.shape[0] - 1,
            "revision": 2 if "reference_energies" in weights else 1,
        }

    @classmethod
    def trained_elements(cls, weights: Mapping[str, Tensor]) -> frozenset[int] | None:
        """See `Student.trained_elements`.

        An untrained row still holds, bit for bit, what torch's float32 ``uniform_`` wrote:
        ``low + k 2^-24 (high - low)`` with k an integer. Entries near zero are resolved much finer
        than that grid, so a row that training has touched does not stay on it: one entry off the
        grid is proof. If no row lies on the grid, the weights started otherwise and do not tell.
        """
        rows = weights["embedding.weight"].detach().cpu().numpy()
        if rows.dtype != np.float32:
            return None
        low, high = np.float32(-EMBEDDING_BOUND), np.float32(EMBEDDING_BOUND)
        spacing = float(high - low) / 2.0**24
        steps = (rows.astype(np.float64) - float(low)) / spacing
        with np.errstate(invalid="ignore"):  # of infinite entries, which are on no grid
            rounding = np.spacing(np.abs(rows)).astype(np.float64) / 2.0 / spacing + 1e-6
            # Not every entry can tell: those above 1 are rounded more coarsely than the grid.
            on_grid = (np.abs(steps - np.round(steps)) <= rounding).all(axis=1)
        if not on_grid.any():
            return None
        return frozenset(int(z) for z in np.flatnonzero(~on_grid))
