"""Figures of merit of predictions against labels, each made of a ratio of sums over structures.

Ratios of per-structure sums are what a bootstrap over structures, or over molecules, can resample.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mlffd.errors import InputError
from mlffd.golden.records import Metric, Predictions
from mlffd.golden.residuals import LEAST_FORCE, BoolArray, Residuals, residuals
from mlffd.structures.structure import FloatArray, Structure

#: Relative: how far the interval of a change may reach for the worse and still pass.
TOLERANCE = 0.10
_TOLERANCE_REASON = "a tenth of its error is the least that a user of the student notices"

#: Numerators and denominators, of structures ``[M]`` or of atoms ``[A]``; a mask counts.
Parts = tuple[FloatArray, FloatArray | BoolArray]


@dataclass(frozen=True)
class MetricDefinition:
    """``finish(sum(numerators) / sum(denominators))`` over structures.

    Attributes:
        name: in records and reports.
        unit: of the value.
        reduction: in words, for the record.
        parts: what is summed, from the errors.
        of_atoms: whether the parts are of atoms, or else of structures.
        finish: from the ratio to the value.
    """

    name: str
    unit: str
    reduction: str
    parts: Callable[[Residuals], Parts]
    of_atoms: bool = False
    finish: Callable[[FloatArray], FloatArray] = lambda ratio: ratio

    def terms(self, found: Residuals, atoms: BoolArray | None = None) -> FloatArray:
        """Numerator and denominator of each structure, ``[M, 2]``.

        Args:
            found: the errors.
            atoms: ``[A]``, which to count, where the metric is one of atoms; None: all.
        """
        # Forces of a student that explodes are finite, their squares need not be.
        with np.errstate(over="ignore"):
            terms: FloatArray = np.stack(self.parts(found), axis=1, dtype=np.float64)
        if not self.of_atoms:
            return terms
        return found.sums(terms if atoms is None else np.where(atoms[:, None], terms, 0.0))

    def value(self, terms: FloatArray) -> float:
        """The metric of the structures whose terms, ``[M, 2]``, are given.

        NaN if there is nothing to take it from: all denominators are zero.
        """
        with np.errstate(over="ignore"):
            return float(self.from_sums(terms.sum(axis=0)))

    def from_sums(self, sums: FloatArray) -> FloatArray:
        """Metrics ``[...]`` of sums of numerators and denominators, ``[..., 2]``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.finish(np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan))


def _ones(found: Residuals) -> FloatArray:
    return np.ones(len(found))


def _components(found: Residuals) -> FloatArray:
    return np.full(len(found.numbers), 3.0)


#: What a golden holds a student to.
METRICS = (
    MetricDefinition(
        "energy_mae_per_atom",
        "eV/atom",
        "mean over structures of |E - E_label| / N",
        lambda found: (np.abs(found.energy_per_atom), _ones(found)),
    ),
    MetricDefinition(
        "energy_rmse_per_atom",
        "eV/atom",
        "root of the mean over structures of ((E - E_label) / N)^2",
        lambda found: (found.energy_per_atom**2, _ones(found)),
        finish=np.sqrt,
    ),
    MetricDefinition(
        "forces_mae",
        "eV/Å",
        "mean over all force components of |F - F_label|",
        lambda found: (np.abs(found.forces).sum(axis=1), _components(found)),
        of_atoms=True,
    ),
    MetricDefinition(
        "forces_rmse",
        "eV/Å",
        "root of the mean over all force components of (F - F_label)^2",
        lambda found: ((found.forces**2).sum(axis=1), _components(found)),
        of_atoms=True,
        finish=np.sqrt,
    ),
    MetricDefinition(
        "forces_angle",
        "degrees",
        "mean over the atoms whose |F_label| is above "
        f"{LEAST_FORCE} eV/Å of the angle between F and F_label",
        lambda found: (np.where(found.has_direction, found.angles, 0.0), found.has_direction),
        of_atoms=True,
    ),
)

#: What is reported besides, and gates nothing. With the labels given, R² says what the RMSE says.
#: Offsets need several structures of a molecule, and stresses are few: a golden set has too few
#: of either to decide by.
REPORTED = (
    MetricDefinition(
        "relative_energy_mae_per_atom",
        "eV/atom",
        "mean of |E - E_label| / N once the mean of (E - E_label) / N over the structures of the "
        "same molecule is taken off; only molecules of two structures or more",
        lambda found: (np.abs(found.relative_energy_per_atom), found.has_offset),
    ),
    MetricDefinition(
        "relative_energy_rmse_per_atom",
        "eV/atom",
        "root of the mean square of the same",
        lambda found: (found.relative_energy_per_atom**2, found.has_offset),
        finish=np.sqrt,
    ),
    MetricDefinition(
        "force_r2",
        "",
        "1 - sum of (F - F_label)^2 / sum of F_label^2 over all force components, whose mean is "
        "zero because the forces on a structure add up to none",
        lambda found: ((found.forces**2).sum(axis=1), (found.labels**2).sum(axis=1)),
        of_atoms=True,
        finish=lambda ratio: 1.0 - ratio,
    ),
    MetricDefinition(
        "stress_mae",
        "eV/Å³",
        "mean over structures with a stress label of the mean over components of |S - S_label|",
        lambda found: (found.stress, found.has_stress),
    ),
)

#: All of them.
BY_NAME = {metric.name: metric for metric in (*METRICS, *REPORTED)}


def metric_values(structures: Sequence[Structure], predictions: Predictions) -> dict[str, float]:
    """Every metric, reported ones included, by name; those that nothing can be said of are absent.

    Raises:
        InputError: a structure has no labels, or the predictions are of other structures.
    """
    found = residuals(structures, predictions)
    terms = {name: metric.terms(found) for name, metric in BY_NAME.items()}
    return {name: BY_NAME[name].value(t) for name, t in terms.items() if t[:, 1].any()}


def metric_records(found: Residuals) -> dict[str, Metric]:
    """The metrics as a golden keeps them; those that nothing can be said of are absent.

    Raises:
        InputError: a metric is not finite.
    """
    records = {}
    for metric in METRICS:
        terms = metric.terms(found)
        if not terms[:, 1].any():
            continue
        value = metric.value(terms)
        if not math.isfinite(value):
            raise InputError(f"{metric.name} is not finite")
        records[metric.name] = Metric(
            value=value,
            unit=metric.unit,
            direction="lower",
            reduction=metric.reduction,
            n=int(np.count_nonzero(terms[:, 1])),
            tolerance=TOLERANCE,
            tolerance_reason=_TOLERANCE_REASON,
        )
    return records
