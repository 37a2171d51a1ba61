"""Subjects: what checks are about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch

from mlffd.checkpoints import Checkpoint, read_checkpoint
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.foreign import ForeignSubject
from mlffd.config import KnownDefect
from mlffd.errors import InputError
from mlffd.golden.predicting import predict_all
from mlffd.golden.records import CountersRecord, DatasetRecord, Predictions, StudentGolden
from mlffd.golden.store import read_counters_record, read_dataset_record, read_student_record
from mlffd.performance.counting import count_student
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import Potential
from mlffd.structures import probes
from mlffd.structures.close_pairs import ClosePair, find_close_pairs
from mlffd.structures.dataset import Dataset
from mlffd.structures.structure import Structure

_OWN_MOLECULES = 10


@dataclass
class StudentSubject:
    """A checkpoint under test, with what it is held against.

    What is expensive is made on first use and kept. The potential is float64 eager: the checks of
    this package judge the function that the weights define, not the rounding of a runtime.

    Attributes:
        name: in reports.
        path: of the checkpoint.
        device: to compute on.
        parameters: how many it should have; None: nobody says.
        elements: atomic numbers that it is to serve; None: nobody says.
        golden_path: its golden record; None: it has none.
        dataset_path: the labelled structures that the golden was made with.
        counters_path: the golden record of its counters; None: it has none.
        limits: overrides, ``{check: {criterion: limit}}``.
        known_defects: declared, by check.
        nve_picoseconds: length of each molecular dynamics run.
        strict: whether a significant improvement fails until its golden is accepted.
    """

    name: str
    path: Path
    device: str = "cpu"
    parameters: int | None = None
    elements: frozenset[int] | None = None
    golden_path: Path | None = None
    dataset_path: Path | None = None
    counters_path: Path | None = None
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    known_defects: Mapping[str, KnownDefect] = field(default_factory=dict)
    nve_picoseconds: float = 0.5
    strict: bool = False

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, non-finite weights let through: `finite_weights` judges those."""
        return read_checkpoint(self.path, require_finite=False)

    @cached_property
    def potential(self) -> Potential:
        """The student in float64."""
        student = self.checkpoint.student(dtype=torch.float64)
        return EagerPotential(student, dtype=torch.float64, device=self.device)

    @cached_property
    def golden(self) -> StudentGolden | None:
        """The accepted golden, if there is one."""
        return None if self.golden_path is None else read_student_record(self.golden_path)

    @cached_property
    def dataset(self) -> Dataset | None:
        """The labelled structures, if there are any."""
        return None if self.dataset_path is None else Dataset(self.dataset_path)

    @cached_property
    def predictions(self) -> Predictions:
        """What it predicts for its data set now; the golden checks share them."""
        assert self.dataset is not None
        return predict_all(self.potential, list(self.dataset))

    @cached_property
    def counters(self) -> dict[str, dict[str, int]]:
        """What it costs now, in counts."""
        return count_student(self.checkpoint.student(dtype=torch.float32))

    @cached_property
    def golden_counters(self) -> CountersRecord | None:
        """What it cost when that was accepted, if it ever was."""
        return None if self.counters_path is None else read_counters_record(self.counters_path)

    @cached_property
    def probe_elements(self) -> frozenset[int]:
        """What physics is tried on: trained elements, those that it is to serve if there are any.

        Raises:
            InputError: not one element was trained.
        """
        trained = self.checkpoint.elements
        if trained is None:
            return self.elements or probes.ELEMENTS
        for wanted in (self.elements or frozenset(), probes.ELEMENTS, trained):
            if wanted & trained:
                return wanted & trained
        raise InputError(f"{self.path}: no element was trained")

    @cached_property
    def molecules(self) -> list[Structure]:
        """Rattled probe molecules of elements that the student covers."""
        return probes.molecules(self.probe_elements)

    @cached_property
    def stable_molecules(self) -> list[Structure]:
        """Molecules that should survive dynamics: known ones, or else those of the data set."""
        small = [m for m in probes.known_molecules(self.probe_elements) if len(m) > 2]
        known = [*probes.minima(self.probe_elements), *small]
        own = (s for s in self.dataset or () if len(s) > 2 and not s.is_periodic)
        return known or list(islice(own, _OWN_MOLECULES))

    @cached_property
    def crystals(self) -> list[Structure]:
        """Rattled periodic probes of elements that the student covers."""
        return probes.crystals(self.probe_elements)


@dataclass
class DatasetSubject:
    """A labelled data set under test.

    Attributes:
        name: in reports.
        path: of the HDF5 file.
        golden_path: its golden record; None: it has none.
        limits: overrides, ``{check: {criterion: limit}}``.
        known_defects: declared, by check.
    """

    name: str
    path: Path
    golden_path: Path | None = None
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    known_defects: Mapping[str, KnownDefect] = field(default_factory=dict)

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, opened."""
        return Dataset(self.path)

    @cached_property
    def close_pairs(self) -> list[ClosePair]:
        """Structures that tell whether energies and forces belong together."""
        return find_close_pairs(self.dataset)

    @cached_property
    def golden(self) -> DatasetRecord | None:
        """The golden record, if there is one."""
        return None if self.golden_path is None else read_dataset_record(self.golden_path)


#: What can have a golden.
GoldenSubject = StudentSubject | DatasetSubject

Subject = GoldenSubject | ArtifactSubject | ForeignSubject
