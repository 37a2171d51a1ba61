"""An exported file as a subject."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlffd.checkpoints import Checkpoint, read_checkpoint
from mlffd.checks.budget import PrecisionBudget
from mlffd.checks.reference import reference_of
from mlffd.config import KnownDefect
from mlffd.errors import InputError
from mlffd.export.deviations import tolerance_of
from mlffd.export.equivalence import Outcome, cases_for, compare, repeated
from mlffd.export.manifest import Deviation, Manifest, read_manifest
from mlffd.export.probe_cases import ProbeCase
from mlffd.runtimes.opening import open_artifact
from mlffd.runtimes.potential import Potential


@dataclass
class ArtifactSubject:
    """An exported file under test, and the checkpoint that it is to mean the same as.

    What is expensive is made on first use and kept.

    Attributes:
        name: in reports.
        path: of the file; its manifest is beside it.
        reference: the checkpoint.
        device: that the file's runtime is to compute on; the checkpoint's is the CPU.
        limits: overrides, ``{check: {criterion: limit}}``.
        known_defects: declared, by check.
        budget: what it is allowed if its precision is lower than float32.
    """

    name: str
    path: Path
    reference: Path
    device: str = "cpu"
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    known_defects: Mapping[str, KnownDefect] = field(default_factory=dict)
    budget: PrecisionBudget = field(default_factory=PrecisionBudget)

    @cached_property
    def manifest(self) -> Manifest:
        """What the file is said to be."""
        return read_manifest(self.path)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """What it is to mean the same as."""
        return read_checkpoint(self.reference)

    @cached_property
    def potential(self) -> Potential:
        """The file in its runtime."""
        return open_artifact(self.path, device=self.device)

    @property
    def disagreements(self) -> list[str]:
        """Where the manifest says something else than the checkpoint, a sentence each."""
        checkpoint, manifest = self.checkpoint, self.manifest
        student = checkpoint.student()
        expected = {
            "weights": checkpoint.fingerprint,
            "architecture": checkpoint.architecture,
            "revision": checkpoint.revision,
            "config": checkpoint.config,
            "cutoff": student.cutoff,
            "max_z": student.max_z,
        }
        if manifest.neighbours == "input":  # molecules have neither cells nor virials
            expected |= {
                "honours_cells": student.honours_cells,
                "has_virial": student.honours_cells,
            }
        return [
            f"{key}: the manifest says {found}, the checkpoint {wanted}"
            for key, wanted in expected.items()
            if (found := getattr(manifest, key)) != wanted
        ]

    def require_same_student(self) -> None:
        """Refuse to compare what was never to be equal.

        Raises:
            InputError: the manifest or the checkpoint cannot be read, or the file is an export of
                something else than the checkpoint.
        """
        if self.disagreements:
            raise InputError(
                f"incomparable: {self.path} is no export of {self.reference}, see artifact_loads"
            )

    @cached_property
    def tolerance(self) -> Deviation:
        """How far it may be from the checkpoint."""
        return tolerance_of(self.manifest)

    @cached_property
    def cases(self) -> tuple[ProbeCase, ...]:
        """What it is compared on."""
        checkpoint = self.checkpoint
        return cases_for(
            checkpoint.student(), checkpoint.elements, periodic=self.potential.honours_cells
        )

    @cached_property
    def usual(self) -> dict[str, Outcome]:
        """How it does at usual sizes; two checks need it."""
        return self._compare(usual=True)

    @cached_property
    def unusual(self) -> dict[str, Outcome]:
        """How it does at unusual sizes."""
        return self._compare(usual=False)

    @cached_property
    def repeated(self) -> Outcome:
        """Whether what it predicts depends on what it was asked before."""
        ran = {name for name, outcome in self.usual.items() if outcome.error is None}
        return repeated(self.potential, [case for case in self.cases if case.name in ran])

    def _compare(self, *, usual: bool) -> dict[str, Outcome]:
        self.require_same_student()
        chosen = [case for case in self.cases if case.usual is usual]
        return compare(self.potential, reference_of(self.checkpoint), chosen)
