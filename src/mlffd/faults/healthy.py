"""What faults are planted in: a student, its data and its exports, as they should be."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TypeVar

import torch

from mlffd.checkpoints import Checkpoint, read_checkpoint, save_checkpoint
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.budget import PrecisionBudget
from mlffd.checks.cases import configured_subjects
from mlffd.checks.subjects import DatasetSubject, StudentSubject
from mlffd.config import Settings
from mlffd.errors import InputError
from mlffd.export.exporting import export
from mlffd.export.formats import format_named
from mlffd.export.manifest import manifest_path
from mlffd.export_settings import BudgetSettings
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import predict
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.structure import Structure
from mlffd.students import Student

#: ps of dynamics: as short as they can be and still tell a drift from a vibration.
_DYNAMICS = 0.1
_BUDGET_DYNAMICS = 0.05

T = TypeVar("T")


@dataclass
class Healthy:
    """A student of the settings with its golden, its data set and its exports.

    Every subject is a new one, and every file that a fault may change is a copy.

    Attributes:
        settings: that name the student, its golden and its data set.
        name: of the student.
        folder: for files that faults write.
        exports: for exported files, which several faults can share.
    """

    settings: Settings
    name: str
    folder: Path
    exports: Path

    def __post_init__(self) -> None:
        self._numbers = count()
        student = self.settings.students.get(self.name)
        if student is None:
            known = ", ".join(self.settings.students) or "none"
            raise InputError(f"student {self.name!r}: not in the settings, which have: {known}")
        if student.golden is None or student.dataset is None:
            raise InputError(
                f"{self.settings.source}: students.{self.name}: has no golden and no data set: "
                "whether its predictions change cannot be judged"
            )

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The student's checkpoint."""
        return read_checkpoint(self.settings.students[self.name].checkpoint)

    @cached_property
    def structures(self) -> list[Structure]:
        """All structures of the student's data set, with labels."""
        path = self.dataset().path
        with Dataset(path) as dataset:
            return list(dataset)

    @property
    def student_cutoff(self) -> float:
        """Å."""
        return self.checkpoint.student().cutoff

    def path(self, suffix: str) -> Path:
        """A new file name in the folder."""
        return self.folder / f"{next(self._numbers)}{suffix}"

    def student(self, checkpoint: Path | None = None) -> StudentSubject:
        """The student as the settings have it, or another checkpoint under its name."""
        found = self._configured(StudentSubject, self.name)
        return replace(
            found, path=checkpoint or found.path, nve_picoseconds=_DYNAMICS, known_defects={}
        )

    def dataset(self, structures: Iterable[Structure] | None = None) -> DatasetSubject:
        """The student's data set, or other structures under its name."""
        name = self.settings.students[self.name].dataset
        assert name is not None
        found = self._configured(DatasetSubject, name)
        if structures is None:
            return replace(found)
        path = self.path(".h5")
        write_dataset(path, structures, metadata={})
        return replace(found, path=path)

    def labelled(self, structures: Iterable[Structure]) -> list[Structure]:
        """Structures with labels by the student: wrong by its errors, but consistent."""
        bare = list(structures)
        predictions = predict(EagerPotential(self.checkpoint.student()), bare)
        return [
            replace(structure, energy=found.energy, forces=found.forces)
            for structure, found in zip(bare, predictions, strict=True)
        ]

    def resaved(self, change: Callable[[Student], object]) -> Path:
        """A checkpoint of the student with other weights, as training would save it."""
        student = self.checkpoint.student()
        with torch.no_grad():
            change(student)
        path = self.path(".pt")
        elements = self.checkpoint.elements or ()
        save_checkpoint(path, student, elements=sorted(elements), training={})
        return path

    def artifact(
        self, format_name: str = "safetensors", precision: str = "fp32"
    ) -> ArtifactSubject:
        """An export of the student; the file and its manifest may be changed.

        Raises:
            MissingPackageError: the format needs a package that is not installed.
        """
        original = self._exported(format_name, precision)
        path = self.path(original.suffix)
        shutil.copyfile(original, path)
        shutil.copyfile(manifest_path(original), manifest_path(path))
        student = self._configured(StudentSubject, self.name)
        budget = PrecisionBudget(
            BudgetSettings(nve_picoseconds=_BUDGET_DYNAMICS),
            student.dataset_path,
            student.limits.get("nve_conservation", {}),
        )
        return ArtifactSubject(f"{self.name}-{format_name}", path, student.path, budget=budget)

    def _exported(self, format_name: str, precision: str) -> Path:
        suffix = format_named(format_name).suffix
        path = self.exports / f"{self.name}-{format_name}-{precision}{suffix}"
        if path.exists():
            return path
        return export(self.checkpoint, self.name, format_name, precision, self.exports)

    def _configured(self, kind: type[T], name: str) -> T:
        subjects: Iterator[object] = iter(configured_subjects(self.settings))
        return next(s for s in subjects if isinstance(s, kind) and getattr(s, "name", "") == name)
