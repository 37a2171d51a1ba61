"""Export a student: write it, run what was written, and keep it only if it is the student."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols

import mlffd
from mlffd.checkpoints import Checkpoint
from mlffd.checkpoints.rounding import ROUNDINGS, rounded
from mlffd.environment import command_line, describe_commit, now
from mlffd.errors import InputError, MissingPackageError, RefusedError
from mlffd.export.deviations import TOLERANCES, described, exceeding, worst
from mlffd.export.equivalence import cases_for, compare, verify
from mlffd.export.formats import Format, format_named
from mlffd.export.manifest import Deviation, Manifest, sha256_of, write_manifest
from mlffd.export.placing import put_in_place, staging
from mlffd.export.snippets import snippet
from mlffd.export.warnings_kept import kept_warnings
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import Potential

_UNMEASURED = Deviation(energy_per_atom=0, forces=0, forces_rms=0)

#: What decides what an exporter writes, besides the packages that it uses.
_SOURCES = ("checkpoints", "export", "students")


@dataclass(frozen=True)
class Order:
    """What is to be exported, and how.

    Attributes:
        checkpoint: of the student.
        name: of the student, in the name of the file.
        format: to write.
        precision: to write in.
        options: of the exporter; the others are as they are by default.

    Raises:
        InputError: the name cannot be that of a file, the format is not written in this precision,
            or it has no such option.
    """

    checkpoint: Checkpoint
    name: str
    format: Format
    precision: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name != Path(self.name).name or not self.name or not self.name.isprintable():
            raise InputError(f"student {self.name!r}: expected a name that a file can have")
        if self.precision not in self.format.precisions:
            raise InputError(
                f"format {self.format.name}: is not written in {self.precision!r}, expected one of"
                f" {', '.join(self.format.precisions)}"
            )

    @property
    def file_name(self) -> str:
        """Of the artifact."""
        return f"{self.name}-{self.format.name}-{self.precision}{self.format.suffix}"

    def facts(self) -> dict[str, Any]:
        """What the manifest says before anything is written, by field.

        Raises:
            InputError: the format has no such option, or a package is missing.
        """
        student = self.checkpoint.student()
        elements = self.checkpoint.elements
        return {
            "format": self.format.name,
            "precision": self.precision,
            "student": self.name,
            "architecture": self.checkpoint.architecture,
            "revision": self.checkpoint.revision,
            "config": self.checkpoint.config,
            "weights": self.checkpoint.fingerprint,
            "cutoff": student.cutoff,
            "max_z": student.max_z,
            "elements": elements if elements is None else _symbols(elements),
            "honours_cells": student.honours_cells and not self.format.molecule,
            "neighbours": "inside" if self.format.molecule else "input",
            "tolerance": TOLERANCES[self.precision],
            "options": self.format.options(self.options, self.precision),
        }


def export(
    checkpoint: Checkpoint,
    name: str,
    format_name: str,
    precision: str,
    folder: Path,
    *,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Write a student in a format, with its manifest, and verify it before it is put in place.

    A file of the same name is replaced, but only by one that was verified: whatever happens, what
    was there before stays, and nothing half done is left.

    Args:
        checkpoint: of the student.
        name: of the student, in the name of the file.
        format_name: see `mlffd.export.formats`.
        precision: that the format is written in.
        folder: to write to.
        options: of the exporter, such as ``opset``.

    Returns:
        The path of the artifact; its manifest is beside it.

    Raises:
        InputError: format, precision, options or folder cannot be had, or a package is missing.
        RefusedError: what was written is not the student, or its exporter warned that it is not.
    """
    order = Order(checkpoint, name, format_named(format_name), precision, options or {})
    target = folder / order.file_name
    with staging(folder) as aside:
        staged = aside / target.name
        try:
            write_manifest(staged, _make(order, staged))
        except RefusedError as error:
            raise RefusedError(f"{target.name}: refused: {error}") from error
        put_in_place(staged, target)
    return target


def source_fingerprint() -> str:
    """``"sha256:"`` and the digest of the code that exports are made by."""
    digest = hashlib.sha256()
    package = Path(mlffd.__file__).parent
    files = [path for name in _SOURCES for path in (package / name).iterdir()]
    for path in sorted(path for path in files if path.suffix in (".py", ".cpp")):
        digest.update(f"{path.relative_to(package).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def _make(order: Order, path: Path) -> Manifest:
    """Write an artifact and verify it."""
    facts = order.facts()
    with kept_warnings() as messages:
        written = order.format.write(order.checkpoint, path, order.precision, **order.options)
    manifest = Manifest(
        **{**facts, "options": {**facts["options"], **written.options}},
        inputs=written.inputs,
        outputs=written.outputs,
        versions={"mlffd": mlffd.__version__, **written.versions},
        size=path.stat().st_size,
        sha256=sha256_of(path),
        measured=_UNMEASURED,
        snippet="",
        created={
            "date": now(),
            "command": command_line(),
            "source": source_fingerprint(),
            **{key: str(value) for key, value in describe_commit(path.parent).items()},
            "warnings": "\n".join(messages),
        },
    )
    try:
        potential = order.format.potential(path, manifest)
    except MissingPackageError:
        raise
    except Exception as error:  # each runtime has its own
        raise RefusedError(f"its runtime does not take it: {error}") from error
    measured = _verified(order, potential)
    return manifest.model_copy(
        update={"measured": measured, "snippet": snippet(manifest, path.name)}
    )


def _verified(order: Order, potential: Potential) -> Deviation:
    """How far what was written is from the student.

    What only stores weights in fewer bits is the student with weights that were rounded, to the
    tolerance of float32. How far that is from the student itself is then a matter of the precision.

    Raises:
        RefusedError: it is too far away, or changes from one evaluation to the next.
    """
    checkpoint, precision = order.checkpoint, order.precision
    student = checkpoint.student(dtype=torch.float64)
    made_of, tolerance = student, TOLERANCES[precision]
    if precision in ROUNDINGS:
        made_of, tolerance = checkpoint.student(), TOLERANCES["fp32"]
        made_of.load_state_dict(rounded(made_of.state_dict(), precision))
    verification = verify(potential, made_of, elements=checkpoint.elements)
    if problems := verification.problems(tolerance):
        more = f"; and {len(problems) - 1} more cases" if len(problems) > 1 else ""
        raise RefusedError(f"it is not the student: {problems[0]}{more}")
    if made_of is student:
        return verification.measured
    cases = cases_for(student, checkpoint.elements, periodic=potential.honours_cells)
    outcomes = compare(potential, EagerPotential(student), cases)
    measured = worst(outcome.deviation for outcome in outcomes.values())
    if over := exceeding(measured, TOLERANCES[precision]):
        raise RefusedError(f"{precision} is too coarse for the student: {described(over)}")
    return measured


def _symbols(elements: frozenset[int]) -> tuple[str, ...]:
    return tuple(chemical_symbols[number] for number in sorted(elements))
