"""What students are timed on: one molecule in batches, clusters of it, and a cell of it."""

from functools import cache
from importlib import resources
from io import StringIO
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.io import read
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlffd.structures.structure import Structure

BATCHES = (1, 2, 4, 8, 16, 32, 128, 512)
CLUSTERS = (187, 2154)
PERIODIC = "periodic"

#: All names: ``batch8`` is eight molecules, ``atoms187`` one cluster, ``periodic`` one cell.
SYSTEMS = (*(f"batch{n}" for n in BATCHES), *(f"atoms{n}" for n in CLUSTERS), PERIODIC)

_RATTLE = 0.05  # Å
_GAP = 1.8  # Å between the boxes around molecules of a cluster: neighbours, but no bonds


@cache
def molecule() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers ``[16]`` and positions ``[16, 3]`` in Å of fluorostyrene."""
    text = resources.files(__package__).joinpath("molecule.xyz").read_text(encoding="utf-8")
    atoms: Any = read(StringIO(text), format="xyz")
    return atoms.numbers.astype(np.int64), atoms.positions


def system(name: str) -> "list[Structure]":
    """The structures of a system; the same ones in every process.

    Raises:
        ValueError: there is no such system.
    """
    from mlffd.structures.structure import Structure

    if name not in SYSTEMS:
        raise ValueError(f"system {name!r}, expected one of {', '.join(SYSTEMS)}")
    numbers, positions = molecule()
    if name == PERIODIC:
        copies, box = _grid(2)
        cell = np.diag(2 * box)
        return [
            Structure(
                np.tile(numbers, 8),
                _rattled(copies.reshape(-1, 3), 0),
                cell=cell,
                pbc=np.ones(3, dtype=bool),
                name=name,
            )
        ]
    if name.startswith("atoms"):
        count = int(name.removeprefix("atoms"))
        edge = int(np.ceil((count / len(numbers)) ** (1 / 3)))
        copies, _ = _grid(edge)
        # The last molecule may be cut short: it is about time, not about chemistry.
        tiled = np.tile(numbers, len(copies))[:count]
        return [Structure(tiled, _rattled(copies.reshape(-1, 3)[:count], 0), name=name)]
    count = int(name.removeprefix("batch"))
    return [Structure(numbers, _rattled(positions, seed), name=name) for seed in range(count)]


def _grid(edge: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions of ``edge**3`` molecules ``[edge**3, 16, 3]``, and the sides of each one's box."""
    _, positions = molecule()
    box = np.ptp(positions, axis=0) + _GAP
    sites = np.array(list(product(range(edge), repeat=3)))
    return positions[None] + (sites * box)[:, None, :], box


def _rattled(positions: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(0.0, _RATTLE, positions.shape)
    return np.asarray(positions + noise)
