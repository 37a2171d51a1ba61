"""Figures of merit of predictions against labels, each a ratio of sums over structures.

Ratios of per-structure sums are what a bootstrap over structures can resample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mlffd.errors import InputError
from mlffd.golden.records import Predictions
from mlffd.structures.structure import FloatArray, Structure


@dataclass(frozen=True)
class MetricDefinition:
    """``sum(numerators) / sum(denominators)`` over structures, or its root.

    Attributes:
        name: in records and reports.
        unit: of the value.
        reduction: in words, for the record.
        terms: numerator and denominator of one structure, from the errors in energy (eV) and
            forces (eV/Å, ``[N, 3]``).
        root: whether the ratio is of squares.
    """

    name: str
    unit: str
    reduction: str
    terms: Callable[[float, FloatArray], tuple[float, float]]
    root: bool = False

    def value(self, terms: FloatArray) -> float:
        """The metric of the structures whose terms, ``[M, 2]``, are given."""
        return float(self.from_sums(terms.sum(axis=0)))

    def from_sums(self, sums: FloatArray) -> FloatArray:
        """Metrics ``[...]`` of sums of numerators and denominators, ``[..., 2]``."""
        ratios: FloatArray = sums[..., 0] / sums[..., 1]
        return np.sqrt(ratios) if self.root else ratios


def _energy_terms(energy: float, forces: FloatArray) -> tuple[float, float]:
    return abs(energy) / len(forces), 1.0


METRICS = (
    MetricDefinition(
        "energy_mae_per_atom",
        "eV/atom",
        "mean over structures of |E - E_label| / N",
        _energy_terms,
    ),
    MetricDefinition(
        "forces_mae",
        "eV/Å",
        "mean over all force components of |F - F_label|",
        lambda energy, forces: (float(np.abs(forces).sum()), float(forces.size)),
    ),
    MetricDefinition(
        "forces_rmse",
        "eV/Å",
        "root of the mean over all force components of (F - F_label)^2",
        lambda energy, forces: (float((forces**2).sum()), float(forces.size)),
        root=True,
    ),
)


def metric_terms(
    structures: Sequence[Structure], predictions: Predictions
) -> dict[str, FloatArray]:
    """Per-structure terms ``[M, 2]`` of every metric.

    Raises:
        InputError: a structure has no labels, or the predictions are of other structures.
    """
    if len(structures) != len(predictions):
        raise InputError(f"{len(predictions)} predictions for {len(structures)} structures")
    terms: dict[str, list[tuple[float, float]]] = {m.name: [] for m in METRICS}
    for index, structure in enumerate(structures):
        if structure.energy is None or structure.forces is None:
            raise InputError(f"{structure.label}: no energy or no forces to compare with")
        energy_error = float(predictions.energy[index]) - structure.energy
        forces = predictions.forces_of(index)
        if forces.shape != structure.forces.shape:
            raise InputError(
                f"{structure.label}: predictions are of another structure, of {len(forces)} atoms"
            )
        # Forces of a student that explodes are finite, their squares need not be.
        with np.errstate(over="ignore"):
            force_error = forces - structure.forces
            for metric in METRICS:
                terms[metric.name].append(metric.terms(energy_error, force_error))
    return {name: np.array(values) for name, values in terms.items()}


def force_r2(structures: Sequence[Structure], predictions: Predictions) -> float:
    """Coefficient of determination of force components; NaN if all labels are equal."""
    labels = np.concatenate([s.forces for s in structures if s.forces is not None])
    residual = float(((predictions.forces - labels) ** 2).sum())
    total = float(((labels - labels.mean()) ** 2).sum())
    return 1.0 - residual / total if total > 0 else float("nan")
