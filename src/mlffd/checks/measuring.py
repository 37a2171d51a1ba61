"""How accurate students are: measured, and judged by nothing."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlffd.checks.cases import named_subjects
from mlffd.checks.evidence import plain
from mlffd.checks.run import run_environment
from mlffd.checks.standings import Standings, compare_all, teacher_of
from mlffd.checks.subjects import DatasetSubject, StudentSubject
from mlffd.config import Settings
from mlffd.errors import InputError
from mlffd.golden.breakdown import Breakdown, break_down
from mlffd.golden.residuals import Residuals, residuals


@dataclass(frozen=True)
class StudentAccuracy:
    """The accuracy of one student on one data set.

    Attributes:
        student: its name.
        fingerprint: of its weights.
        dataset: path of the labelled structures.
        dataset_fingerprint: of their content.
        teacher: the method that made the labels.
        largest: atoms of the largest structure.
        breakdown: the figures.
    """

    student: str
    fingerprint: str
    dataset: str
    dataset_fingerprint: str
    teacher: str
    largest: int
    breakdown: Breakdown

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = plain({**vars(self), "breakdown": self.breakdown.as_dict()})
        return document


@dataclass(frozen=True)
class Accuracies:
    """The accuracy of several students.

    Attributes:
        students: one by one.
        standings: those on the same data set, side by side.
        environment: where it was computed.
    """

    students: Sequence[StudentAccuracy]
    standings: Sequence[Standings]
    environment: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "environment": self.environment,
            "students": [s.as_dict() for s in self.students],
            "standings": [s.as_dict() for s in self.standings],
        }


def measure(
    names: Sequence[str], settings: Settings, *, data: str | None = None, device: str = "cpu"
) -> Accuracies:
    """Measure students on labelled structures.

    Args:
        names: of students in the settings, or paths of checkpoints; none means all students.
        settings: where names are looked up.
        data: a data set in the settings or a path; None: that of each student in the settings.
        device: to compute on.

    Raises:
        InputError: a name or file cannot be used, or a structure has no labels or an element that
            a student does not know.
    """
    students = named_students(names or list(settings.students), settings, device=device)
    for student in students:
        student.dataset_path = dataset_path(data, [student], settings)
    return Accuracies(
        students=[accuracy_of(s) for s in students],
        standings=compare_all(students),
        environment=run_environment(device, settings.source),
    )


def measure_on_each(
    student: StudentSubject, data: Sequence[str], settings: Settings
) -> dict[str, StudentAccuracy]:
    """The accuracy of a student on several data sets, by their names.

    Args:
        student: to measure.
        data: data sets in the settings, or paths.
        settings: where names are looked up.

    Raises:
        InputError: there is none, one is named twice, or it cannot be used: see `measure`.
    """
    if not data:
        raise InputError("--data: expected a data set: the settings name none")
    measured: dict[str, StudentAccuracy] = {}
    for item in data:
        name = item if item in settings.datasets else Path(item).stem
        if name in measured:
            raise InputError(f"--data: {name}: named twice")
        path = dataset_path(item, [student], settings)
        measured[name] = accuracy_of(replace(student, dataset_path=path))
    return measured


def accuracy_of(student: StudentSubject) -> StudentAccuracy:
    """The accuracy of a student on its data set.

    Raises:
        InputError: see `errors_of`.
    """
    found = errors_of(student)
    assert student.dataset is not None
    return StudentAccuracy(
        student=student.name,
        fingerprint=student.checkpoint.fingerprint,
        dataset=str(student.dataset.path),
        dataset_fingerprint=student.dataset.fingerprint,
        teacher=teacher_of(student.dataset),
        largest=int(found.atom_counts.max()),
        breakdown=break_down(found),
    )


def errors_of(student: StudentSubject) -> Residuals:
    """The errors of a student on its data set.

    Raises:
        InputError: a structure has no labels, labels that are not finite, or an element that the
            student does not know, or there is no structure.
    """
    assert student.dataset is not None
    if not len(student.dataset):
        raise InputError(f"{student.dataset.path}: no structures to be accurate on")
    structures = list(student.dataset)
    predictions = student.predictions
    try:
        found = residuals(structures, predictions)
    except InputError as error:
        raise InputError(f"{student.dataset.path}: {error}") from error
    energies = np.array([structure.energy for structure in structures], dtype=np.float64)
    sound = np.isfinite(energies) & np.isfinite(found.sums(found.labels)).all(axis=1)
    if not sound.all():
        first = structures[int(sound.argmin())].label
        raise InputError(
            f"{student.dataset.path}: {first}: labels that are not finite; see `mlffd data "
            "validate`"
        )
    return found


def named_students(
    names: Sequence[str], settings: Settings, *, device: str = "cpu"
) -> list[StudentSubject]:
    """The students of these names in the settings, or at these paths.

    Raises:
        InputError: there is none, something is neither, or it is no student.
    """
    if not names:
        raise InputError("no student: name a checkpoint, or the settings with --config")
    subjects = named_subjects(names, settings, device=device)
    for subject in subjects:
        if not isinstance(subject, StudentSubject):
            kind = "a data set" if isinstance(subject, DatasetSubject) else "an artifact"
            raise InputError(f"{subject.path}: {kind}, expected a student")
    return [s for s in subjects if isinstance(s, StudentSubject)]


def dataset_path(data: str | None, students: Sequence[StudentSubject], settings: Settings) -> Path:
    """Which labelled structures to judge students on.

    Args:
        data: a data set in the settings or a path; None: the one that the settings name for all.
        students: to be judged.
        settings: where names are looked up.

    Raises:
        InputError: there is no such data set, or no single one that the settings name.
    """
    if data is not None:
        if data in settings.datasets:
            return settings.datasets[data].path
        if Path(data).exists():
            return Path(data)
        known = ", ".join(settings.datasets) or "no names: there are no settings"
        raise InputError(f"--data: {data}: neither a file nor a data set in the settings ({known})")
    named = {s.dataset_path and os.path.realpath(s.dataset_path): s.dataset_path for s in students}
    if len(named) != 1 or (path := next(iter(named.values()))) is None:
        raise InputError(
            "--data: expected a data set: the settings do not name one for "
            + " and ".join(s.name for s in students)
        )
    return path
