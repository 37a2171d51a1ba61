"""How far predictions are apart, and how far they may be."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch

from mlffd.export.manifest import Deviation, Manifest
from mlffd.export.probe_cases import ProbeCase
from mlffd.runtimes.potential import Potential, collate_for
from mlffd.structures.batch import Batch
from mlffd.structures.structure import FloatArray

_INT8 = Deviation(energy_per_atom=0.5, forces=3.0, forces_rms=1.0, virial=0.5)

#: What a precision may cost at most. The rounding of eager PyTorch itself is a tenth of it, or more
#: in a squeezed molecule. Where there are fewer bits than 32, a file that is further away than this
#: is not the student at all. Whether a nearer one is good enough, `precision_budget` judges.
TOLERANCES = {
    "fp32": Deviation(energy_per_atom=1e-5, forces=1e-4, forces_rms=3e-5, virial=3e-5),
    "fp64": Deviation(energy_per_atom=1e-9, forces=1e-9, forces_rms=1e-9, virial=1e-9),
    "fp16": Deviation(energy_per_atom=0.02, forces=0.1, forces_rms=0.03, virial=0.02),
    "bf16": Deviation(energy_per_atom=0.1, forces=0.6, forces_rms=0.2, virial=0.1),
    "int8-dynamic": _INT8,
    "int8-static": _INT8,
    "int8-weights": _INT8,
}

#: Of what a deviation consists, with units.
UNITS = {
    "energy_per_atom": "eV/atom",
    "forces": "eV/Å",
    "forces_rms": "eV/Å",
    "virial": "eV/atom",
}

#: Further away than any tolerance allows: of predictions that are not finite, or not there. Made
#: without validation, because no manifest may hold it.
INFINITE = Deviation.model_construct(
    None, energy_per_atom=math.inf, forces=math.inf, forces_rms=math.inf, virial=math.inf
)


def deviation(potential: Potential, reference: Potential, case: ProbeCase) -> Deviation:
    """How far a potential is from another, which sees the very same numbers in float64.

    Args:
        potential: to judge.
        reference: in float64.
        case: what to evaluate, as one batch.

    Returns:
        Infinite where either gives what is not finite. No virial where nothing is periodic in
        three directions, or the potential has none.

    Raises:
        ValueError: the shape of a prediction is not that of the batch.
    """
    batch = collate_for(potential, list(case.structures))
    found = ask(potential, batch)
    # Rounding the positions is no fault of the potential: both start from the same.
    same = replace(
        batch,
        positions=batch.positions.double(),
        shifts=batch.shifts.double(),
        cells=batch.cells.double(),
    )
    return difference(found, ask(reference, same.to(reference.device)), batch)


def worst(deviations: Iterable[Deviation]) -> Deviation:
    """The largest of each quantity; at least one deviation is needed."""
    return reduce(
        lambda a, b: _unbounded(
            **{name: _larger(getattr(a, name), getattr(b, name)) for name in UNITS}
        ),
        deviations,
    )


def exceeding(measured: Deviation, tolerance: Deviation) -> dict[str, tuple[float, float]]:
    """The quantities that are over their tolerance: what was measured, and the tolerance.

    A virial that was measured needs a tolerance; without one, that of the energy holds.
    """
    pairs = {
        name: (getattr(measured, name), _limit(tolerance, name))
        for name in UNITS
        if getattr(measured, name) is not None
    }
    return {name: pair for name, pair in pairs.items() if not pair[0] <= pair[1]}


def tolerance_of(manifest: Manifest) -> Deviation:
    """What an artifact is held to: what its manifest promises, and what its precision may cost.

    A precision that nobody knows may cost what float32 does.
    """
    allowed = TOLERANCES.get(manifest.precision, TOLERANCES["fp32"])
    return Deviation(
        **{name: min(_limit(manifest.tolerance, name), _limit(allowed, name)) for name in UNITS}
    )


def described(over: Mapping[str, tuple[float, float]]) -> str:
    """Quantities that are over their tolerance, for a person."""
    return ", ".join(
        f"{name} {measured:.2g} {UNITS[name]} (tolerance {limit:.2g})"
        for name, (measured, limit) in over.items()
    )


class Answer(NamedTuple):
    """A prediction on the host, in float64.

    Attributes:
        energy: eV, ``[B]``.
        forces: eV/Å, ``[N, 3]``.
        stress: eV/Å³, ``[B, 3, 3]``; None if it was not asked for.
    """

    energy: FloatArray
    forces: FloatArray
    stress: FloatArray | None


def ask(potential: Potential, batch: Batch) -> Answer:
    """What a potential says of a batch; stresses only where a structure has a volume.

    Raises:
        ValueError: the shape of a prediction is not that of the batch.
    """
    wants_stress = potential.has_stress and bool(batch.pbc.all(dim=1).any())
    prediction = potential(batch, stress=wants_stress)
    expected = {"energy": (len(batch),), "forces": tuple(batch.positions.shape)}
    if wants_stress:
        expected["stress"] = tuple(batch.cells.shape)
    found = {}
    for name, shape in expected.items():
        tensor: torch.Tensor | None = getattr(prediction, name)
        if tensor is None or tuple(tensor.shape) != shape:
            has = "nothing" if tensor is None else f"shape {tuple(tensor.shape)}"
            raise ValueError(f"{name}: {has}, expected shape {shape}")
        found[name] = tensor.detach().cpu().double().numpy()
    return Answer(found["energy"], found["forces"], found.get("stress"))


def difference(found: Answer, expected: Answer, batch: Batch) -> Deviation:
    """How far two answers about the same batch are apart; infinite where one is not finite."""
    counts = batch.atom_counts.cpu().numpy()
    starts = np.cumsum(counts)[:-1]
    with np.errstate(invalid="ignore", over="ignore"):
        energy = np.abs(found.energy - expected.energy) / counts
        forces = np.abs(found.forces - expected.forces)
        squares = [(part**2).mean() for part in np.split(forces, starts)]
        virial = None
        if found.stress is not None and expected.stress is not None:
            per_volume = np.abs(found.stress - expected.stress).max(axis=(1, 2))
            volumes = batch.volumes().cpu().double().numpy()
            # Where there is no volume there is no stress, and neither has to agree.
            has_volume = np.isfinite(volumes)
            virial = finite_maximum((per_volume * volumes / counts)[has_volume])
        return _unbounded(
            energy_per_atom=finite_maximum(energy),
            forces=finite_maximum(forces),
            forces_rms=finite_maximum(np.sqrt(squares)),
            virial=virial,
        )


def finite_maximum(values: FloatArray) -> float:
    """The largest value; infinite if one is not finite, so that it never looks small."""
    return float(values.max()) if np.isfinite(values).all() else math.inf


def _unbounded(**values: float | None) -> Deviation:
    return Deviation.model_construct(None, **values)


def _larger(first: float | None, second: float | None) -> float | None:
    return max((v for v in (first, second) if v is not None), default=None)


def _limit(tolerance: Deviation, name: str) -> float:
    value: float | None = getattr(tolerance, name)
    return tolerance.energy_per_atom if value is None else value
