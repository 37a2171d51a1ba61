"""Is the head less accurate? Speed that costs accuracy is no gain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mlffd.golden.compare import Comparison, Status
from mlffd.golden.paired import pair
from mlffd.golden.records import Predictions
from mlffd.golden.residuals import Residuals, residuals
from mlffd.performance.revisions import Built
from mlffd.performance.workers import WorkerError, workers
from mlffd.structures.dataset import Dataset
from mlffd.verdicts import Verdict


@dataclass(frozen=True)
class AccuracyFinding:
    """What became of a student's errors.

    Attributes:
        student: its name.
        verdict: fail if a metric is significantly worse; inconclusive if that is unclear; invalid
            if there are no two predictions to compare.
        message: why, in a sentence.
        metrics: the head held against the base.
    """

    student: str
    verdict: Verdict
    message: str
    metrics: Sequence[Comparison] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "student": self.student,
            "verdict": str(self.verdict),
            "message": self.message,
            "metrics": {comparison.metric: comparison.as_dict() for comparison in self.metrics},
        }


def compare_accuracy(student: str, data: Path, base: Built, head: Built) -> AccuracyFinding:
    """Predict the same labelled structures in both revisions, and compare errors in pairs.

    Args:
        student: its name in the settings of both.
        data: labelled structures.
        base: what is compared with.
        head: what is judged.

    Raises:
        WorkerError: the base does not have the student.
        InputError: the data set cannot be read, or has no labels.
    """
    try:
        after = predict_in(student, data, head)
    except WorkerError as error:
        return AccuracyFinding(student, Verdict.INVALID, f"the head cannot predict: {error}")
    try:
        before = predict_in(student, data, base)
    except WorkerError as error:
        if error.is_lacking:
            raise
        return AccuracyFinding(student, Verdict.INVALID, f"the base cannot predict: {error}")
    metrics = pair(before, after).metrics
    worse = [c.metric for c in metrics if c.status in (Status.REGRESSED, Status.NON_FINITE)]
    if worse:
        return AccuracyFinding(student, Verdict.FAIL, f"less accurate: {', '.join(worse)}", metrics)
    if undecided := [c.metric for c in metrics if c.status is Status.UNDECIDED]:
        message = f"cannot be decided: {', '.join(undecided)}"
        return AccuracyFinding(student, Verdict.INCONCLUSIVE, message, metrics)
    return AccuracyFinding(student, Verdict.PASS, "no less accurate", metrics)


def predict_in(student: str, data: Path, built: Built) -> Residuals:
    """Errors of a student on a data set, as a revision predicts it.

    Raises:
        WorkerError: it cannot.
        InputError: the data set cannot be read, or has no labels.
    """
    with TemporaryDirectory() as folder, workers((built, None)) as (worker,):
        out = Path(folder) / "predictions.npz"
        worker.ask("predict", student=student, data=str(data), out=str(out))
        with np.load(out, allow_pickle=False) as arrays:
            energy, forces = arrays["energy"], arrays["forces"]
    with Dataset(data) as dataset:
        structures = list(dataset)
    splits = np.cumsum([0, *map(len, structures)])
    names = tuple(structure.name for structure in structures)
    return residuals(structures, Predictions(names, energy, forces, splits))
