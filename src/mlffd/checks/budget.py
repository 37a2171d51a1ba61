"""What an export of lower precision is allowed, and on what that is measured."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlffd.config import Settings
from mlffd.export_settings import BudgetSettings


@dataclass(frozen=True)
class PrecisionBudget:
    """What settings say of the budget of one artifact.

    Attributes:
        allowed: of the settings of exports.
        dataset_path: labelled structures to measure on; None: nobody names any.
        dynamics: limits of `nve_conservation` for the student, by criterion, where they are not
            those of the check.
    """

    allowed: BudgetSettings = field(default_factory=BudgetSettings)
    dataset_path: Path | None = None
    dynamics: Mapping[str, float] = field(default_factory=dict)


def budget_of(reference: Path, settings: Settings) -> PrecisionBudget:
    """The budget of exports of a checkpoint: what the student of this checkpoint is held to.

    Args:
        reference: the checkpoint.
        settings: that may have a student with this checkpoint.
    """
    allowed = settings.exports.budget
    # Unlike Path.resolve, it does not raise at links in a circle.
    real = os.path.realpath(reference)
    students = (s for s in settings.students.values() if os.path.realpath(s.checkpoint) == real)
    student = next(students, None)
    dataset = allowed.dataset or (student and student.dataset)
    return PrecisionBudget(
        allowed=allowed,
        dataset_path=settings.datasets[dataset].path if dataset else None,
        dynamics=student.limits.get("nve_conservation", {}) if student else {},
    )
