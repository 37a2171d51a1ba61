"""The formats that a student can be exported to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from mlffd.checkpoints import Checkpoint
from mlffd.errors import InputError
from mlffd.export.manifest import FULL_PRECISIONS, TensorSpec, dtype_of


@dataclass(frozen=True)
class Written:
    """What the manifest must know of a file that was just written.

    Attributes:
        inputs: in order.
        outputs: in order.
        versions: of what made it, by package.
        options: what else the exporter was told.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    versions: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """A format; its code is imported on first use, for it may need an extra.

    Attributes:
        name: public.
        suffix: of its files.
        precisions: that it is written in.
        writer: ``module:function`` that takes a student in float32 or float64 and a path; None:
            there is only the other one. What else it takes by name are options.
        runtime: ``module:class``.
        molecule: whether the neighbour list is inside and one call takes one molecule.
        checkpoint_writer: ``module:function`` for other precisions than these, which takes a
            checkpoint, a path and the precision, and options likewise.
    """

    name: str
    suffix: str
    precisions: tuple[str, ...]
    writer: str | None
    runtime: str
    molecule: bool = False
    checkpoint_writer: str | None = None

    def write(
        self,
        checkpoint: Checkpoint,
        path: Path,
        precision: str,
        **options: Any,  # noqa: ANN401
    ) -> Written:
        """Write a student in this format.

        Args:
            checkpoint: of what to export.
            path: of the file.
            precision: that the format is written in.
            options: of the exporter, see `options`.

        Raises:
            InputError: a package is missing, or the exporter refuses the student.
            RefusedError: the exporter wrote what is known to be wrong.
        """
        writer = _load(self._writer(precision))
        written: Written
        if self._takes_student(precision):
            written = writer(checkpoint.student(dtype=dtype_of(precision)), path, **options)
        else:
            written = writer(checkpoint, path, precision, **options)
        return written

    def options(self, chosen: Mapping[str, Any], precision: str) -> dict[str, Any]:
        """All options of the exporter: the chosen ones, and the others as they are by default.

        Args:
            chosen: by name.
            precision: that the format is to be written in.

        Raises:
            InputError: it has no such option, or a package is missing.
        """
        parameters = signature(_load(self._writer(precision))).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.kind is Parameter.KEYWORD_ONLY}
        if unknown := sorted(chosen.keys() - defaults.keys()):
            raise InputError(
                f"format {self.name}: has no option {unknown[0]!r}, expected one of"
                f" {', '.join(defaults) or 'none'}"
            )
        return {**defaults, **chosen}

    def _takes_student(self, precision: str) -> bool:
        return self.writer is not None and precision in FULL_PRECISIONS

    def _writer(self, precision: str) -> str:
        writer = self.writer if self._takes_student(precision) else self.checkpoint_writer
        assert writer is not None
        return writer

    @property
    def potential(self) -> Callable[..., Any]:
        """The class that runs its files."""
        runtime: Callable[..., Any] = _load(self.runtime)
        return runtime


#: All that there are; a format is written in some of them.
PRECISIONS = ("fp32", "fp64", "fp16", "bf16", "int8-dynamic", "int8-static", "int8-weights")

_EXPORT, _RUNTIMES = "mlffd.export", "mlffd.runtimes"

FORMATS = {
    entry.name: entry
    for entry in (
        Format(
            "onnx",
            ".onnx",
            PRECISIONS,
            f"{_EXPORT}.onnx:write",
            f"{_RUNTIMES}.onnxruntime:OnnxPotential",
            checkpoint_writer=f"{_EXPORT}.onnx_precision:write",
        ),
        Format(
            "onnx-molecule",
            ".onnx",
            ("fp32", "fp64"),
            f"{_EXPORT}.onnx:write_molecule",
            f"{_RUNTIMES}.onnxruntime:OnnxPotential",
            molecule=True,
        ),
        Format(
            "torch-export",
            ".pt2",
            ("fp32", "fp64"),
            f"{_EXPORT}.program:write",
            f"{_RUNTIMES}.program:ProgramPotential",
        ),
        Format(
            "aoti",
            ".pt2",
            ("fp32", "fp64"),
            f"{_EXPORT}.aoti:write",
            f"{_RUNTIMES}.aoti:AotiPotential",
        ),
        Format(
            "torchscript",
            ".pt",
            ("fp32", "fp64"),
            f"{_EXPORT}.torchscript:write",
            f"{_RUNTIMES}.torchscript:TorchScriptPotential",
        ),
        Format(
            "torchscript-molecule",
            ".pt",
            ("fp32", "fp64"),
            f"{_EXPORT}.torchscript:write_molecule",
            f"{_RUNTIMES}.torchscript:TorchScriptPotential",
            molecule=True,
        ),
        Format(
            "safetensors",
            ".safetensors",
            ("fp32", "fp16", "bf16", "int8-weights"),
            None,
            f"{_RUNTIMES}.weights:WeightsPotential",
            checkpoint_writer=f"{_EXPORT}.weights:write",
        ),
    )
}


def format_named(name: str) -> Format:
    """The format of a name.

    Raises:
        InputError: there is none.
    """
    if name not in FORMATS:
        raise InputError(f"format {name!r} is unknown, expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def _load(target: str) -> Any:  # noqa: ANN401 - a function or a class
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
