"""ONNX: the graph of a student for onnxruntime and everything else that reads it."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from mlffd.errors import InputError
from mlffd.export import exact_operators, segment_sums
from mlffd.export.formats import Written
from mlffd.export.graph import exported_program
from mlffd.export.manifest import TensorSpec
from mlffd.export.neighbour_graph import exported_molecule_program
from mlffd.export.onnx_simplification import simplify
from mlffd.export.specs import (
    input_specs,
    molecule_input_specs,
    molecule_output_specs,
    output_specs,
)
from mlffd.optional import import_optional
from mlffd.students import Student

#: What PyTorch's exporter writes and onnxruntime 1.32 was seen to run.
OPSETS = range(18, 24)

#: What the file is made with, and verified with.
_PACKAGES = ("onnx", "onnxscript", "onnx_ir", "onnxruntime")


def write(student: Student, path: Path, *, opset: int = 18) -> Written:
    """Write a student that takes a batch and its neighbour list.

    Args:
        student: its weights are in the dtype to export; they no longer need gradients.
        path: of the file.
        opset: of the standard operators.

    Raises:
        InputError: the opset is not one of `OPSETS`, a package is missing, or the student has an
            operation that the exporter cannot write.
        RefusedError: floating numbers would be scattered, which goes wrong in silence.
    """
    return _write(
        lambda: exported_program(student), path, opset, input_specs(student), output_specs(student)
    )


def write_molecule(student: Student, path: Path, *, opset: int = 18) -> Written:
    """Write a student that takes one molecule, not periodic, and finds the neighbours itself.

    Args:
        student: see `write`.
        path: of the file.
        opset: of the standard operators.

    Raises:
        InputError: see `write`.
        RefusedError: see `write`.
    """
    return _write(
        lambda: exported_molecule_program(student),
        path,
        opset,
        molecule_input_specs(student),
        molecule_output_specs(student),
    )


def _write(
    trace: Callable[[], ExportedProgram],
    path: Path,
    opset: int,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
) -> Written:
    if opset not in OPSETS:
        raise InputError(f"opset: {opset}, expected {OPSETS[0]} to {OPSETS[-1]}")
    packages = {name: import_optional(name, extra="export") for name in _PACKAGES}
    model = convert(trace(), opset, [output.name for output in outputs])
    simplify(model, inputs, outputs)
    model.ir_version = _oldest_layout(opset)
    packages["onnx_ir"].save(model, path)
    versions = {name: str(package.__version__) for name, package in packages.items()}
    return Written(
        inputs=inputs,
        outputs=outputs,
        versions={"torch": torch.__version__, **versions, "opset": str(opset)},
    )


def convert(program: ExportedProgram, opset: int, outputs: list[str]) -> Any:  # noqa: ANN401
    """A program as PyTorch's exporter writes it, with our sums and functions: an `onnx_ir.Model`.

    The exporter's optimizer is left out: it takes ``x + epsilon`` for ``x`` if epsilon is 1e-8.

    Args:
        program: to write.
        opset: of the standard operators.
        outputs: names, in order.

    Raises:
        InputError: the program has an operation that cannot be written.
    """
    with warnings.catch_warnings():
        # Of the exporter's own copying of its program.
        warnings.filterwarnings(
            "ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning
        )
        try:
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                output_names=outputs,
                custom_translation_table={
                    **segment_sums.translations(),
                    **exact_operators.translations(),
                },
                optimize=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(_root(error)).strip().partition("\n")[0]
            raise InputError(f"the student cannot be written as ONNX: {reason}") from error
    assert exported is not None
    return exported.model


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _oldest_layout(opset: int) -> int:
    """Version of the file's layout that runtimes of the opset's time can read."""
    helper = import_optional("onnx.helper", extra="export")
    version: int = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
    return version
