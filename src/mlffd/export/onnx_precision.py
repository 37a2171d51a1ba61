"""ONNX files of float32, rewritten in fewer bits.

Two kinds. Half precision and ``int8-weights`` store matrices in fewer bits and compute in float32:
such a file is the student with the weights of `mlffd.checkpoints.rounding`, exactly.
``int8-dynamic`` and ``int8-static`` multiply matrices of 8-bit integers, by onnxruntime's own
quantizer. The former does so in every layer, with scales that are found anew in every call. The
latter has scales from structures that it was calibrated with. They saturate beyond these, and where
that happened in the layers themselves, energies of a student were off by 5 eV per atom; so only the
products of the gradient and of the mixing of vectors are quantized.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlffd.checkpoints import Checkpoint
from mlffd.checkpoints.rounding import ROUNDINGS, is_rounded, packed
from mlffd.errors import InputError
from mlffd.export import onnx
from mlffd.export.formats import Written
from mlffd.export.graph import INPUTS, inputs_of
from mlffd.export.probe_cases import probed_elements
from mlffd.optional import import_optional
from mlffd.structures import probes
from mlffd.structures.batch import collate
from mlffd.structures.dataset import Dataset
from mlffd.structures.structure import Structure
from mlffd.students import Student

DYNAMIC, STATIC = "int8-dynamic", "int8-static"

#: Structures of a data set to calibrate with: they lie as far apart in it as they can.
MOST_CALIBRATED = 200

#: An `onnx.ModelProto`; the package is an extra.
Model = Any


def write(
    checkpoint: Checkpoint,
    path: Path,
    precision: str,
    *,
    opset: int = 18,
    calibration: str | None = None,
) -> Written:
    """Write a student that takes a batch and its neighbour list, in fewer bits than 32.

    Args:
        checkpoint: of the student.
        path: of the file.
        precision: one of `ROUNDINGS`, `DYNAMIC` or `STATIC`.
        opset: of the standard operators.
        calibration: for `STATIC`, a data set that shows how large numbers become; None: the
            molecules and cells that physics is checked with.

    Raises:
        InputError: see `mlffd.export.onnx`; a weight does not fit, or the data set cannot be used
            or is not wanted.
        RefusedError: see `mlffd.export.onnx`.
    """
    if calibration is not None and precision != STATIC:
        raise InputError(f"calibration: only {STATIC} has one, not {precision}")
    structures = _structures(checkpoint, calibration) if precision == STATIC else []
    written = onnx.write(checkpoint.student(), path, opset=opset)
    library = import_optional("onnx", extra="export")
    model = library.load(path)
    if precision in ROUNDINGS:
        _pack(model, precision)
        library.save(model, path)
        return written
    _fold_transposes(model)
    if precision == DYNAMIC:
        _quantize_dynamic(model, path)
    else:
        _quantize_static(model, path, _feeds(checkpoint.student(), structures))
    return written


def _quantize_dynamic(model: Model, path: Path) -> None:
    quantization = import_optional("onnxruntime.quantization", extra="export")
    _quietly_prepared(model)
    quantization.quantize_dynamic(model, path, op_types_to_quantize=["MatMul"], per_channel=True)


def _quantize_static(model: Model, path: Path, feeds: Iterator[dict[str, Any]]) -> None:
    quantization = import_optional("onnxruntime.quantization", extra="export")
    _quietly_prepared(model)
    quantization.quantize_static(
        model, path, _Calibration(feeds), op_types_to_quantize=["MatMul"], per_channel=False
    )


def _quietly_prepared(model: Model) -> None:
    """Tell the quantizer that what it asks for beforehand is done, as far as it can be."""
    helpers = import_optional("onnxruntime.quantization.quant_utils", extra="export")
    helpers.add_pre_process_metadata(model)


def _pack(model: Model, precision: str) -> None:
    """Replace every matrix by fewer bits and what makes float32 of them again."""
    library = import_optional("onnx", extra="export")
    restoring = []
    for initializer in list(model.graph.initializer):
        matrix = _values(initializer)
        if not is_rounded(matrix):
            continue
        name = initializer.name
        stored, scales = packed(matrix, precision)
        model.graph.initializer.remove(initializer)
        model.graph.initializer.append(_initializer(f"{name}.packed", stored))
        if scales is None:
            node = library.helper.make_node(
                "Cast",
                [f"{name}.packed"],
                [name],
                name=f"{name}.unpack",
                to=library.TensorProto.FLOAT,
            )
        else:
            model.graph.initializer.append(_initializer(f"{name}.scale", scales))
            node = library.helper.make_node(
                "DequantizeLinear",
                [f"{name}.packed", f"{name}.scale"],
                [name],
                name=f"{name}.unpack",
                axis=0,
            )
        restoring.append(node)
    nodes = [*restoring, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _fold_transposes(model: Model) -> None:
    """Transpose constant matrices now: the quantizer takes no others than initializers."""
    matrices = {i.name: i for i in model.graph.initializer if len(i.dims) == 2}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Transpose" and node.input[0] in matrices:
            (name,) = node.output
            turned = _initializer(name, _values(matrices[node.input[0]]).T)
            matrices[name] = turned
            model.graph.initializer.append(turned)
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    for initializer in list(model.graph.initializer):
        if initializer.name not in used:
            model.graph.initializer.remove(initializer)


def _values(initializer: Any) -> Tensor:  # noqa: ANN401 - an onnx.TensorProto
    helper = import_optional("onnx.numpy_helper", extra="export")
    return torch.from_numpy(np.array(helper.to_array(initializer)))


def _initializer(name: str, values: Tensor) -> Any:  # noqa: ANN401 - an onnx.TensorProto
    library = import_optional("onnx", extra="export")
    kinds = {
        torch.float16: library.TensorProto.FLOAT16,
        torch.bfloat16: library.TensorProto.BFLOAT16,
        torch.int8: library.TensorProto.INT8,
        torch.float32: library.TensorProto.FLOAT,
        torch.float64: library.TensorProto.DOUBLE,
    }
    content = (
        values.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    )  # bfloat16 has no NumPy
    return library.helper.make_tensor(name, kinds[values.dtype], values.shape, content, raw=True)


def _structures(checkpoint: Checkpoint, calibration: str | None) -> Sequence[Structure]:
    if calibration is None:
        elements = probed_elements(checkpoint.elements)
        cells = probes.crystals(elements) if checkpoint.student().honours_cells else []
        return [*probes.molecules(elements), *cells]
    with Dataset(calibration) as dataset:
        if not len(dataset):
            raise InputError(f"{calibration}: no structures to calibrate with")
        indices = np.unique(np.linspace(0, len(dataset) - 1, MOST_CALIBRATED).round().astype(int))
        return [dataset[int(index)] for index in indices]


def _feeds(student: Student, structures: Sequence[Structure]) -> Iterator[dict[str, Any]]:
    """One structure at a time, which the quantizer takes whatever its size."""
    for structure in structures:
        batch = collate(
            [structure], student.cutoff, dtype=torch.float32, periodic=student.honours_cells
        )
        yield {name: tensor.numpy() for name, tensor in zip(INPUTS, inputs_of(batch), strict=True)}


class _Calibration:
    """What onnxruntime takes for a `CalibrationDataReader`."""

    def __init__(self, feeds: Iterator[dict[str, Any]]) -> None:
        self.feeds = feeds

    def get_next(self) -> dict[str, Any] | None:
        """The next inputs; None: there are no more."""
        return next(self.feeds, None)
