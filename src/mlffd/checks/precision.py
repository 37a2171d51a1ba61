"""Does an export of lower precision cost more than it may?"""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.conservation import (
    DRIFT_LIMIT,
    SWING_LIMIT,
    USUAL,
    Trend,
    largest,
    simulate,
    trend_of,
)
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.errors import InputError
from mlffd.export.manifest import FULL_PRECISIONS
from mlffd.golden.metrics import METRICS
from mlffd.golden.predicting import predict_all
from mlffd.golden.residuals import residuals
from mlffd.runtimes.potential import Potential
from mlffd.verdicts import Verdict

_METRICS = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True)
class Growth:
    """How much worse predictions became.

    Attributes:
        before: root mean square error of the student against the labels.
        after: of the export.
        change: root mean square difference of the export from the student.
    """

    before: float
    after: float
    change: float

    @property
    def relative(self) -> float:
        """By which part of it the error grew, or would have grown, whichever is more.

        It may shrink by luck, if the few structures that make most of it happen to get better. So
        what counts at least is what the same change does to an error that it has nothing to do
        with: squares add up.
        """
        if self.before == 0:
            return 0.0 if self.change == 0 else math.inf
        # NumPy's maximum keeps NaN, Python's may lose it.
        worse = np.maximum(self.after, np.hypot(self.before, self.change))
        return float(worse) / self.before - 1


def _no_budget(subject: ArtifactSubject) -> str | None:
    if subject.budget.dataset_path is None:
        return "no labelled data set: the settings name none in exports.budget or for its student"
    if subject.manifest.precision in FULL_PRECISIONS:
        return f"{subject.manifest.precision} is no lower precision: artifact_matches judges it"
    return None


@check("precision_budget", concern="exports", kind=ArtifactSubject, unless=_no_budget)
def check_precision_budget(subject: ArtifactSubject) -> Evidence:
    """An export of lower precision than float32 costs no more than the settings allow.

    Relative to what the student, in eager float64, is wrong by itself on a labelled data set, the
    root mean square errors of forces and of energies per atom grow by 5% at most. Where the errors
    shrink, as they may by luck, the growth is what the same change would do to errors that it has
    nothing to do with. At constant energy at 300 K the total energy drifts and fluctuates no more
    than that of the student may in `nve_conservation`.

    If this fails, it probably means that the precision is too low for this student; or, if it was
    not before, that a scale of its integers is wrong, or the values that it was calibrated with are
    smaller than those that occur.
    """
    subject.require_same_student()
    budget = subject.budget
    student = StudentSubject(
        name=subject.name, path=subject.reference, dataset_path=budget.dataset_path
    )
    forces, energies = growths(student, subject.potential)
    trends = drifts(student, subject.potential, budget.allowed.nve_picoseconds)
    drift = largest(abs(trend.slope) for trend in trends.values())
    swing = largest(trend.swing for trend in trends.values())
    drift_limit = budget.dynamics.get("drift", DRIFT_LIMIT)
    swing_limit = budget.dynamics.get("fluctuation", SWING_LIMIT)
    message = (
        f"{subject.manifest.precision}: errors of forces grow by {forces.relative:.2%} (from "
        f"{1e3 * forces.before:.4g} to {1e3 * forces.after:.4g} meV/Å; they change by "
        f"{1e3 * forces.change:.2g}), of energies by {energies.relative:.2%} (from "
        f"{1e3 * energies.before:.4g} to {1e3 * energies.after:.4g} meV/atom; "
        f"{1e3 * energies.change:.2g}); in dynamics the energy drifts by at most "
        f"{drift:.2g} meV/atom/ps and fluctuates by {swing:.2g} meV/atom"
    )
    evidence = judge(
        [
            Criterion("force_rmse_growth", forces.relative, budget.allowed.force_rmse, "of it"),
            Criterion("energy_rmse_growth", energies.relative, budget.allowed.energy_rmse, "of it"),
            Criterion("drift", drift, drift_limit, "meV/atom/ps"),
            Criterion("fluctuation", swing, swing_limit, "meV/atom"),
        ],
        message,
        {
            "dataset": budget.dataset_path and budget.dataset_path.name,
            "forces": asdict(forces),
            "energy_per_atom": asdict(energies),
            "drift": {name: abs(trend.slope) for name, trend in trends.items()},
            "fluctuation": {name: trend.swing for name, trend in trends.items()},
            "drift_uncertainty": {name: trend.doubt for name, trend in trends.items()},
            "size": subject.manifest.size,
        },
    )
    surely = largest(trend.surely for trend in trends.values())
    if [c.name for c in evidence.failing] == ["drift"] and surely <= drift_limit:
        return replace(
            evidence,
            verdict=Verdict.INCONCLUSIVE,
            message=f"{message}; too short to tell a drift from a vibration (nve_picoseconds)",
        )
    return evidence


def growths(student: StudentSubject, potential: Potential) -> tuple[Growth, Growth]:
    """How much worse than a student a potential predicts its data set.

    Args:
        student: that has one.
        potential: which is to be this student.

    Returns:
        Of forces, in eV/Å, and of energies, in eV per atom.

    Raises:
        InputError: a structure has no labels or an element that the student does not know, or there
            is no structure.
    """
    assert student.dataset is not None
    structures = list(student.dataset)
    if not structures:
        raise InputError(f"{student.dataset.path}: no structures to measure a precision on")
    before, after = student.predictions, predict_all(potential, structures)
    errors = residuals(structures, before), residuals(structures, after)
    changes = replace(
        errors[0], energy=after.energy - before.energy, forces=after.forces - before.forces
    )

    def growth(name: str) -> Growth:
        metric = _METRICS[name]
        return Growth(*(metric.value(metric.terms(found)) for found in (*errors, changes)))

    return growth("forces_rmse"), growth("energy_rmse_per_atom")


def drifts(student: StudentSubject, potential: Potential, picoseconds: float) -> dict[str, Trend]:
    """How the energy of a potential drifts in dynamics at 300 K, by molecule.

    Args:
        student: which knows molecules that should be stable.
        potential: whose forces act.
        picoseconds: length of the dynamics.

    Raises:
        InputError: there is no such molecule.
    """
    molecules = student.stable_molecules
    if not molecules:
        raise InputError(f"{student.path}: no known molecule consists of its elements")
    runs = simulate(potential, molecules, (USUAL,), picoseconds)
    return {run.molecule.name: trend_of(run) for run in runs}
