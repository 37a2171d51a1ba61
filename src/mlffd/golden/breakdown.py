"""How accurate predictions are: over all, and by element, size and kind of structure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase.data import chemical_symbols

from mlffd.golden.bootstrap import Figure, figures, resampling_units
from mlffd.golden.metrics import BY_NAME, MetricDefinition
from mlffd.golden.residuals import BoolArray, Residuals
from mlffd.structures.naming import kind_of, temperature_of
from mlffd.structures.structure import FloatArray, Structure

#: Atoms of the smallest structure of each bin.
SIZES = (1, 4, 11, 21, 41, 100)

WORST = 10

#: What is told of each part. Energies belong to structures, not to elements.
_OF_ATOMS = tuple(BY_NAME[name] for name in ("forces_mae", "forces_rmse", "force_r2"))
_OF_STRUCTURES = (BY_NAME["energy_mae_per_atom"], *_OF_ATOMS)

#: What errors of one structure are compared to: a structure far above either is among the worst.
_SCALES = ("energy_rmse_per_atom", "forces_rmse")

Figures = dict[str, Figure]


class StructureError(NamedTuple):
    """How wrong the predictions of one structure are.

    Attributes:
        name: of the structure.
        atoms: how many.
        energy_per_atom: prediction less label, eV.
        forces_rmse: over components, eV/Å.
        forces_max: worst component, eV/Å.
    """

    name: str
    atoms: int
    energy_per_atom: float
    forces_rmse: float
    forces_max: float


@dataclass(frozen=True)
class Breakdown:
    """Accuracy of one set of predictions, with 95% intervals.

    Attributes:
        structures: how many.
        resampled: what the intervals are over: ``molecules`` or ``structures``.
        units: how many of these.
        overall: every metric, by name.
        by_element: of forces on atoms of each element, by symbol and metric.
        by_size: by number of atoms, such as ``4-10``, and metric.
        by_kind: by temperature, such as ``300 K``, or other kind of structure, and metric.
        worst: the ten structures that are furthest off, compared to the RMSE of energies or of
            forces, whichever is more.
    """

    structures: int
    resampled: str
    units: int
    overall: Figures
    by_element: Mapping[str, Figures]
    by_size: Mapping[str, Figures]
    by_kind: Mapping[str, Figures]
    worst: Sequence[StructureError]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        parts = {"by_element": self.by_element, "by_size": self.by_size, "by_kind": self.by_kind}
        return {
            "structures": self.structures,
            "resampled": self.resampled,
            "units": self.units,
            "overall": figures_as_dict(self.overall),
            **{
                name: {key: figures_as_dict(row) for key, row in part.items()}
                for name, part in parts.items()
            },
            "worst": [error._asdict() for error in self.worst],
        }


def figures_as_dict(row: Figures) -> dict[str, Any]:
    """For JSON."""
    return {name: figure._asdict() for name, figure in row.items()}


def break_down(found: Residuals) -> Breakdown:
    """All figures of a set of predictions; deterministic."""
    units = resampling_units(found)
    rows: list[tuple[str, str, MetricDefinition, FloatArray]] = [
        ("", "", metric, metric.terms(found)) for metric in BY_NAME.values()
    ]
    for number in np.unique(found.numbers):
        atoms = found.numbers == number
        symbol = chemical_symbols[number]
        rows += [("element", symbol, m, m.terms(found, atoms)) for m in _OF_ATOMS]
    for part, label in (("size", _size_of), ("kind", _kind_of)):
        for key, chosen in _parts(found.structures, label).items():
            rows += [
                (part, key, m, np.where(chosen[:, None], m.terms(found), 0.0))
                for m in _OF_STRUCTURES
            ]
    tables: dict[str, dict[str, Figures]] = {"": {"": {}}, "element": {}, "size": {}, "kind": {}}
    measured = figures([(metric, terms) for *_, metric, terms in rows], units)
    for (part, key, metric, _), figure in zip(rows, measured, strict=True):
        if figure is not None:
            tables[part].setdefault(key, {})[metric.name] = figure
    errors = structure_errors(found)
    return Breakdown(
        structures=len(found),
        resampled=units.of,
        units=units.count,
        overall=tables[""][""],
        by_element=tables["element"],
        by_size=tables["size"],
        by_kind=tables["kind"],
        worst=[errors[i] for i in np.argsort(-_severity(found, errors), kind="stable")[:WORST]],
    )


def structure_errors(found: Residuals) -> list[StructureError]:
    """Errors structure by structure, in the data set's order."""
    with np.errstate(over="ignore"):
        squares = found.sums((found.forces**2).sum(axis=1)) / (3 * found.atom_counts)
    largest = np.maximum.reduceat(np.abs(found.forces).max(axis=1), found.splits[:-1])
    return [
        StructureError(structure.label, len(structure), float(energy), float(rmse), float(most))
        for structure, energy, rmse, most in zip(
            found.structures, found.energy_per_atom, np.sqrt(squares), largest, strict=True
        )
    ]


def _severity(found: Residuals, errors: Sequence[StructureError]) -> FloatArray:
    """``[M]``; what is not finite is worst."""
    energy = np.abs([e.energy_per_atom for e in errors])
    forces = np.array([e.forces_rmse for e in errors])
    scales = [BY_NAME[n].value(BY_NAME[n].terms(found)) for n in _SCALES]
    ratios = [
        values / scale if 0 < scale < np.inf else np.where(np.isfinite(values), 0.0, np.inf)
        for values, scale in zip((energy, forces), scales, strict=True)
    ]
    return np.nan_to_num(np.maximum(*ratios), nan=np.inf)


def _parts(
    structures: Sequence[Structure], label: Callable[[Structure], tuple[float, str]]
) -> dict[str, BoolArray]:
    """Which structures ``[M]`` have each label, in the order of the labels' first part."""
    labels = [label(s) for s in structures]
    return {
        text: np.array([other == (rank, text) for other in labels])
        for rank, text in sorted(set(labels))
    }


def _size_of(structure: Structure) -> tuple[float, str]:
    start = max(size for size in SIZES if size <= len(structure))
    following = [size for size in SIZES if size > start]
    return start, f"{start}-{following[0] - 1}" if following else f"{start} or more"


def _kind_of(structure: Structure) -> tuple[float, str]:
    """Temperatures first, ascending, then other kinds by name."""
    temperature = temperature_of(structure)
    if temperature is None:
        return np.inf, kind_of(structure)
    return temperature, f"{temperature:g} K"
