"""One student against another on the same labels: is it significantly worse?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols

from mlffd.checks.evidence import plain
from mlffd.checks.measuring import dataset_path, errors_of, named_students
from mlffd.checks.run import run_environment
from mlffd.checks.standings import teacher_of
from mlffd.checks.subjects import StudentSubject
from mlffd.config import Settings
from mlffd.errors import InputError
from mlffd.golden.compare import Status
from mlffd.golden.paired import Paired, pair
from mlffd.verdicts import EXIT_CODES, Verdict


@dataclass(frozen=True)
class StudentComparison:
    """A candidate against a baseline.

    Attributes:
        baseline: its name.
        candidate: its name.
        dataset: path of the labelled structures.
        teacher: the method that made the labels.
        paired: how they differ.
        verdict: of the candidate.
        message: what follows, in a sentence.
        notes: what else a person should know, a sentence each.
        environment: where it was computed, and what.
    """

    baseline: str
    candidate: str
    dataset: Path
    teacher: str
    paired: Paired
    verdict: Verdict
    message: str
    notes: Sequence[str]
    environment: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """0 not significantly worse, 1 significantly worse, 3 inconclusive."""
        return EXIT_CODES[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: strict, so a value that is not finite becomes None."""
        document: dict[str, Any] = plain(
            {
                "verdict": str(self.verdict),
                "exit_code": self.exit_code,
                "message": self.message,
                "baseline": self.baseline,
                "candidate": self.candidate,
                "dataset": str(self.dataset),
                "teacher": self.teacher,
                "notes": self.notes,
                "environment": self.environment,
                "comparison": self.paired.as_dict(),
            }
        )
        return document


def compare_students(
    baseline: str, candidate: str, settings: Settings, *, data: str | None, device: str = "cpu"
) -> StudentComparison:
    """Predict the same labelled structures with both, and compare their errors in pairs.

    Args:
        baseline: a student in the settings, or the path of a checkpoint.
        candidate: the same.
        settings: where names are looked up.
        data: a data set in the settings or a path; None: the one that the settings name for both.
        device: to compute on.

    Raises:
        InputError: a name or file cannot be used, a structure has no labels or an element that a
            student does not know, or the baseline's predictions are not finite.
    """
    (before,) = named_students([baseline], settings, device=device)
    (after,) = named_students([candidate], settings, device=device)
    if before.name == after.name:
        before.name, after.name = baseline, candidate
    before.dataset_path = after.dataset_path = dataset_path(data, [before, after], settings)
    dataset = before.dataset
    assert dataset is not None
    found = [errors_of(student) for student in (before, after)]
    try:
        paired = pair(*found)
    except InputError as error:
        raise InputError(
            f"{before.path}: {error} on {dataset.path}: nothing to compare with"
        ) from error
    verdict, message = _judge(paired, before, after)
    return StudentComparison(
        baseline=before.name,
        candidate=after.name,
        dataset=dataset.path,
        teacher=teacher_of(dataset),
        paired=paired,
        verdict=verdict,
        message=message,
        notes=[
            note for s in (before, after) for note in _untrained(s, frozenset(dataset.elements))
        ],
        environment={
            **run_environment(device, settings.source),
            "baseline": before.checkpoint.fingerprint,
            "candidate": after.checkpoint.fingerprint,
            "dataset": dataset.fingerprint,
        },
    )


def _judge(paired: Paired, before: StudentSubject, after: StudentSubject) -> tuple[Verdict, str]:
    by_status = {
        status: [c.metric for c in paired.metrics if c.status is status] for status in Status
    }
    if worse := by_status[Status.REGRESSED] + by_status[Status.NON_FINITE]:
        return Verdict.FAIL, f"significantly worse in {', '.join(worse)}"
    if undecided := by_status[Status.UNDECIDED]:
        return (
            Verdict.INCONCLUSIVE,
            f"too few structures to decide on {', '.join(undecided)}",
        )
    if _identity(before) == _identity(after):
        return Verdict.PASS, "the students are identical"
    if better := by_status[Status.IMPROVED]:
        return Verdict.PASS, f"significantly better in {', '.join(better)}, and worse in none"
    return Verdict.PASS, "no significant difference"


def _identity(student: StudentSubject) -> tuple[str, dict[str, int | float]]:
    """The function: weights, and what is done with them."""
    return student.checkpoint.fingerprint, student.checkpoint.config


def _untrained(student: StudentSubject, elements: frozenset[int]) -> list[str]:
    trained = student.checkpoint.elements
    missing = [] if trained is None else sorted(elements - trained)
    symbols = ", ".join(chemical_symbols[z] for z in missing)
    return [f"{student.name} was not trained on {symbols}, which the data hold"] if missing else []
