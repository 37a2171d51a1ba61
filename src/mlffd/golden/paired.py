"""Two sets of predictions for the same structures, structure by structure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase.data import chemical_symbols

from mlffd.golden.bootstrap import ENOUGH, Change, relative_change, resampling_units
from mlffd.golden.breakdown import WORST, Breakdown, break_down, structure_errors
from mlffd.golden.compare import Comparison, compare_metrics
from mlffd.golden.metrics import BY_NAME, metric_records
from mlffd.golden.residuals import Residuals

_FORCES_RMSE = BY_NAME["forces_rmse"]


class StructureChange(NamedTuple):
    """How the errors of one structure differ.

    Attributes:
        name: of the structure.
        atoms: how many.
        forces_rmse: baseline and candidate, eV/Å.
        energy_per_atom: magnitude of the error of baseline and candidate, eV.
    """

    name: str
    atoms: int
    forces_rmse: tuple[float, float]
    energy_per_atom: tuple[float, float]


@dataclass(frozen=True)
class Paired:
    """What became of the errors from a baseline to a candidate.

    Attributes:
        baseline: figures of the baseline.
        candidate: figures of the candidate.
        metrics: the candidate held against the baseline.
        by_element: relative change of ``forces_rmse``, by symbol; None where too few structures
            hold the element. Reported, and judged by nothing: of many elements one in twenty
            changes significantly by chance.
        worst: the ten structures whose errors grow most.
    """

    baseline: Breakdown
    candidate: Breakdown
    metrics: Sequence[Comparison]
    by_element: Mapping[str, Change | None]
    worst: Sequence[StructureChange]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "metrics": {c.metric: c.as_dict() for c in self.metrics},
            "by_element": {
                symbol: None if change is None else change._asdict()
                for symbol, change in self.by_element.items()
            },
            "worst": [change._asdict() for change in self.worst],
            "baseline": self.baseline.as_dict(),
            "candidate": self.candidate.as_dict(),
        }


def pair(baseline: Residuals, candidate: Residuals) -> Paired:
    """Hold a candidate against a baseline.

    Args:
        baseline: its errors.
        candidate: its errors, on the same structures.

    Raises:
        InputError: a metric of the baseline is not finite.
    """
    return Paired(
        baseline=break_down(baseline),
        candidate=break_down(candidate),
        metrics=compare_metrics(metric_records(baseline), baseline, candidate),
        by_element=_element_changes(baseline, candidate),
        worst=_worst_changes(baseline, candidate),
    )


def _element_changes(baseline: Residuals, candidate: Residuals) -> dict[str, Change | None]:
    units = resampling_units(baseline)
    changes: dict[str, Change | None] = {}
    for number in np.unique(baseline.numbers):
        atoms = baseline.numbers == number
        before, after = (units.sums(_FORCES_RMSE.terms(r, atoms)) for r in (baseline, candidate))
        enough = np.count_nonzero(before[:, 1]) >= ENOUGH and np.isfinite(after).all()
        changes[chemical_symbols[number]] = (
            relative_change(_FORCES_RMSE, before, after) if enough else None
        )
    return changes


def _worst_changes(baseline: Residuals, candidate: Residuals) -> list[StructureChange]:
    """By forces, the errors that grow; one that is no longer finite grows most."""
    changes = [
        StructureChange(
            before.name,
            before.atoms,
            (before.forces_rmse, after.forces_rmse),
            (abs(before.energy_per_atom), abs(after.energy_per_atom)),
        )
        for before, after in zip(
            structure_errors(baseline), structure_errors(candidate), strict=True
        )
    ]
    growth = np.nan_to_num([c.forces_rmse[1] - c.forces_rmse[0] for c in changes], nan=np.inf)
    order = np.argsort(-growth, kind="stable")[:WORST]
    return [changes[i] for i in order if growth[i] > 0]
