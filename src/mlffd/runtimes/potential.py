"""What can be run: the interface, and predictions structure by structure."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mlffd.errors import InputError
from mlffd.structures.batch import Batch, collate, in_chunks
from mlffd.structures.prediction import Prediction
from mlffd.structures.structure import FloatArray, Structure


class Potential(Protocol):
    """Anything that maps a batch to a prediction.

    Attributes:
        max_z: the largest atomic number that it has weights for.
        cutoff: Å, of the neighbour lists that it needs.
        dtype: of the positions that it takes.
        device: where it computes.
        honours_cells: whether it wants neighbours across periodic boundaries.
        has_stress: whether it can give a stress.
    """

    max_z: int
    cutoff: float
    dtype: torch.dtype
    device: torch.device
    honours_cells: bool
    has_stress: bool

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        """Energies, forces and, if asked for, stresses of a batch."""
        ...


class StructurePrediction(NamedTuple):
    """What a potential says about one structure, in float64 on the host.

    Attributes:
        energy: eV.
        forces: eV/Å, ``[N, 3]``.
        stress: eV/Å³, ``[3, 3]``; None if it was not asked for.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray | None = None


def collate_for(potential: Potential, structures: list[Structure]) -> Batch:
    """A batch as the potential wants it.

    Raises:
        InputError: a structure has an element that the potential has no weights for. Checked here
            because on a device it would cost a synchronization at every call.
    """
    for structure in structures:
        lowest, highest = structure.numbers.min(initial=1), structure.numbers.max(initial=1)
        if lowest < 1 or highest > potential.max_z:
            raise InputError(
                f"{structure.label}: atomic numbers from {lowest} to {highest}; the student knows "
                f"1 to {potential.max_z}"
            )
    return collate(
        structures,
        potential.cutoff,
        dtype=potential.dtype,
        device=potential.device,
        periodic=potential.honours_cells,
    )


def predict(
    potential: Potential,
    structures: Iterable[Structure],
    *,
    stress: bool = False,
    max_atoms: int = 2048,
    max_structures: int = 64,
) -> list[StructurePrediction]:
    """Predict structure by structure, in batches of bounded size.

    Args:
        potential: what to ask.
        structures: in any number; a stream is never held in memory whole.
        stress: also ask for stresses.
        max_atoms: per batch; a larger structure goes alone.
        max_structures: per batch.
    """
    results: list[StructurePrediction] = []
    for group in in_chunks(structures, max_atoms=max_atoms, max_structures=max_structures):
        results += split(potential(collate_for(potential, group), stress=stress), group)
    return results


def split(prediction: Prediction, structures: list[Structure]) -> list[StructurePrediction]:
    """The prediction of a batch, cut into its structures."""
    ends = np.cumsum([len(s) for s in structures])[:-1]
    energies = _to_host(prediction.energy)
    forces = np.split(_to_host(prediction.forces), ends)
    stresses: list[FloatArray | None] = [None] * len(structures)
    if prediction.stress is not None:
        stresses = list(_to_host(prediction.stress))
    return [
        StructurePrediction(float(e), f, s)
        for e, f, s in zip(energies, forces, stresses, strict=True)
    ]


def _to_host(tensor: torch.Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().cpu().to(torch.float64).numpy()
    return array
