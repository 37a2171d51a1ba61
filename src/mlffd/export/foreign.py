"""Judge an ONNX file exported by somebody else against the checkpoint that it was made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mlffd.checkpoints import Checkpoint
from mlffd.checkpoints.plain import shown, shown_list
from mlffd.errors import InputError
from mlffd.export.deviations import TOLERANCES
from mlffd.export.foreign_comparison import Comparison, Errors
from mlffd.export.foreign_kernels import LoadError, Replaced, load_error, replace_unloadable
from mlffd.export.foreign_model import SIZE_CAP, read_model
from mlffd.export.foreign_signature import Signature, guess_signature
from mlffd.export.foreign_sums import (
    OverwritingSum,
    has_racing_sums,
    make_add,
    overwriting_sums,
)
from mlffd.structures.structure import Structure

#: What a right export in float32 stays within: eV per atom and eV/Å.
ENERGY_PER_ATOM, FORCES = TOLERANCES["fp32"].energy_per_atom, TOLERANCES["fp32"].forces
#: If mending leaves less than this part of an error, what was mended was its cause.
_REST = 0.01


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a foreign model.

    Attributes:
        path: of the file.
        load_error: why onnxruntime does not load it; None: it does.
        replaced: nodes that were computed in another type so that it loads.
        signature: what its inputs and outputs were taken for.
        sums: scatters that overwrite: ``lost`` says how much they lose here.
        measured: errors as the file is, but for the replaced nodes; None: it could not be run.
        mended: errors with the lossy sums made to add, too; None: there are none, or it is not
            possible.
        notes: what could not be done, or is dangerous, a sentence each.
    """

    path: Path
    load_error: LoadError | None
    replaced: tuple[Replaced, ...]
    signature: Signature
    sums: tuple[OverwritingSum, ...]
    measured: Errors | None
    mended: Errors | None
    notes: tuple[str, ...]

    @property
    def loads(self) -> bool:
        """Whether onnxruntime loads the file as it is."""
        return self.load_error is None

    @property
    def lossy_sums(self) -> tuple[OverwritingSum, ...]:
        """Sums that lost contributions in some structure, or that could not be looked at."""
        return tuple(item for item in self.sums if item.lost != 0)

    def passes(self, *, energy_per_atom: float = ENERGY_PER_ATOM, forces: float = FORCES) -> bool:
        """Whether it loads as it is, takes all sizes, and predicts what the checkpoint does.

        Args:
            energy_per_atom: eV per atom, largest error.
            forces: eV/Å, largest error, if the model gives forces.
        """
        right = self.measured is not None and self.measured.within(energy_per_atom, forces)
        return self.loads and right and not self.signature.baked

    def loading_lines(self) -> list[str]:
        """For a person: how it loads, a sentence each; names of the file are shown safely."""
        return _loading_lines(self)

    def meaning_lines(self) -> list[str]:
        """For a person: what it takes and what it is worth, a sentence each."""
        return [
            *_input_lines(self.signature),
            *_error_lines(self.measured),
            *_sum_lines(self),
            *self.notes,
        ]

    def lines(self) -> list[str]:
        """For a person, all of it."""
        return [*self.loading_lines(), *self.meaning_lines()]


def diagnose(
    path: Path,
    reference: Checkpoint,
    structures: Sequence[Structure],
    *,
    size_cap: int = SIZE_CAP,
) -> Diagnosis:
    """Find what is wrong with a foreign model, and how much of the error that explains.

    Args:
        path: of the ONNX file.
        reference: the checkpoint that it claims to be.
        structures: to compare on: larger ones tell more, for in a pair no sum has two terms.
        size_cap: largest size in bytes of the file.

    Raises:
        InputError: the file cannot be read as a model, a package is missing, or the reference does
            not know an element of a structure.
    """
    path = Path(path)
    model = read_model(path, size_cap=size_cap)
    signature = guess_signature(model)
    error = load_error(model)
    runnable, replaced = replace_unloadable(model)
    sums = overwriting_sums(model)
    comparison = Comparison(path, signature, reference.student(dtype=torch.float64), structures)
    measured, mended, notes = None, None, []
    if has_racing_sums(model):
        notes.append(
            "adds with ScatterND, which onnxruntime 1.32 does wrongly on several threads: measured"
            " on one"
        )
    try:
        measured = comparison.errors(runnable)
        sums = comparison.look_at(runnable, sums)
    except InputError as failure:
        notes.append(f"not measured: {failure}")
    if measured is not None and (lossy := tuple(item for item in sums if item.lost != 0)):
        try:
            mended = comparison.errors(make_add(runnable, lossy))
        except InputError as failure:
            notes.append(f"not measured with sums that add: {failure}")
    return Diagnosis(path, error, replaced, signature, sums, measured, mended, tuple(notes))


def _loading_lines(diagnosis: Diagnosis) -> list[str]:
    error = diagnosis.load_error
    if error is None:
        return ["loads in onnxruntime"]
    if error.operator is None:
        return [f"does not load in onnxruntime: {error.reason}"]
    lines = [
        f"does not load in onnxruntime: it has no {shown(error.operator)} for type"
        f" {error.type or 'unknown'} (node {shown(error.node)})"
    ]
    for item in diagnosis.replaced:
        lines.append(
            f"to measure the rest, node {shown(item.node)} ({item.operator}) was computed in"
            f" {item.instead} instead of {item.type}"
        )
    return lines


def _input_lines(signature: Signature) -> list[str]:
    lines = []
    for item in signature.inputs:
        line = f"input {item}: {item.role or 'nobody can tell what it is'}"
        for size, value in item.baked:
            line += f"; takes {value} {size} only (baked)"
        lines.append(line)
    if signature.energy is None:
        lines.append("no output that can be told to be the energy")
    if signature.forces is None:
        lines.append("gives no forces: only energies can be compared")
    return lines


def _error_lines(errors: Errors | None) -> list[str]:
    if errors is None:
        return []
    lines = [f"fails: {message}" for message in errors.failed]
    if errors.skipped:
        lines.append(f"{errors.skipped} comparisons skipped: other sizes than the baked ones")
    if errors.structures:
        forces = "" if errors.forces is None else f"; forces by at most {errors.forces:.2g} eV/Å"
        lines.append(
            f"energies differ from the reference by at most {errors.energy:.2g} eV ({errors.worst})"
            f" or {errors.energy_per_atom:.2g} eV/atom, median {errors.energy_median:.2g} eV,"
            f" over {errors.structures} comparisons{forces}"
        )
    return lines


def _sum_lines(diagnosis: Diagnosis) -> list[str]:
    lines = []
    if lossy := diagnosis.lossy_sums:
        operators = ", ".join(sorted({item.operator for item in lossy}))
        lines.append(
            f"{len(lossy)} sums lose contributions: {operators} without reduction='add' at nodes"
            f" {shown_list([item.node for item in lossy])}"
        )
        for item in lossy:
            share = "not run" if item.lost is None else f"loses {item.lost} of {item.values} values"
            lines.append(f"node {shown(item.node)}: {share}")
    if kept := [item.node for item in diagnosis.sums if item.lost == 0]:
        lines.append(f"overwrites, but no index came twice: nodes {shown_list(kept)}")
    before, after = diagnosis.measured, diagnosis.mended
    if before is not None and after is not None and after.structures:
        is_cause = after.energy <= _REST * before.energy
        lines.append(
            f"with reduction='add' there, energies differ by at most {after.energy:.2g} eV: "
            + ("that is the cause" if is_cause else "that is not the only cause, or none")
        )
    return lines
