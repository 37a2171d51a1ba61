"""Read an ONNX model that nobody vouches for, as data.

A model may name other files that hold its weights, and any size for a tensor. So the file and what
it names are measured before they are read, nothing outside its folder is opened, and shapes that
are known before it runs are bounded. What it computes at run time is not bounded: a loop may be as
long as it likes.
"""

import os
import stat
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from mlffd.checkpoints.plain import shown
from mlffd.errors import InputError
from mlffd.optional import import_optional

#: Bytes, of the model and of all that it names: a student takes a few MB.
SIZE_CAP = 512 * 2**20
#: Values in one tensor whose shape the model fixes.
LARGEST_TENSOR = 2**28


def read_model(path: str | os.PathLike[str], *, size_cap: int = SIZE_CAP) -> Any:  # noqa: ANN401
    """The model in a file, checked, with its weights in memory and every node named.

    Local functions are inlined, so that each operator is a node of a graph. A node without a name
    of its own is called by its operator and place.

    Args:
        path: of the file.
        size_cap: largest size in bytes of the file and what it names, together.

    Returns:
        An ``onnx.ModelProto``.

    Raises:
        InputError: onnx is missing; or it is no ONNX model, is damaged, too large, or names a file
            outside its folder.
    """
    onnx = import_optional("onnx", extra="export")
    inliner = import_optional("onnx.inliner", extra="export")
    path = Path(path)
    data = _read(path, size_cap)
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception as error:  # protobuf's own, which is no part of its interface
        raise InputError(
            f"{path}: damaged or truncated, or no ONNX model: {one_line(error)}"
        ) from error
    _take_in_external(path, model, size_cap - len(data))
    try:
        onnx.checker.check_model(model, full_check=True)
        if model.functions:
            model = inliner.inline_local_functions(model)
        shapes = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # the checker and the inference raise several kinds
        raise InputError(f"{path}: not a valid ONNX model: {one_line(error)}") from error
    _bound_shapes(path, shapes)
    _name_nodes(model)
    return model


def graphs_of(graph: Any) -> Iterator[Any]:  # noqa: ANN401 - messages of onnx
    """A graph and those inside it: the bodies of branches and loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from graphs_of(inner)


def element_types(model: Any) -> dict[str, int]:  # noqa: ANN401 - a message of onnx
    """ONNX's number of the element type, by name of tensor; of those that inference can tell."""
    onnx = import_optional("onnx", extra="export")
    types: dict[str, int] = {}
    for graph in graphs_of(onnx.shape_inference.infer_shapes(model).graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.tensor_type.elem_type:
                types[value.name] = value.type.tensor_type.elem_type
        types.update((tensor.name, tensor.data_type) for tensor in graph.initializer)
    return types


def opset_of(model: Any) -> int:  # noqa: ANN401 - a message of onnx
    """Version of ONNX's own operators that a model uses."""
    return next((int(i.version) for i in model.opset_import if i.domain in ("", "ai.onnx")), 1)


def one_line(error: Exception) -> str:
    """The first line of an error that may quote the file: short, and safe for a terminal."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return "".join(c if c.isprintable() else "?" for c in line[:300]).strip()


def _read(path: Path, size_cap: int) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise InputError(f"{path}: not a regular file, expected an ONNX model")
        if status.st_size > size_cap:
            raise InputError(f"{path}: {status.st_size} bytes, expected at most {size_cap}")
        with path.open("rb") as stream:
            return stream.read(size_cap)
    except FileNotFoundError:
        raise InputError(f"{path}: file not found") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from error


def _take_in_external(path: Path, model: Any, room: int) -> None:  # noqa: ANN401
    """Read the weights that lie in other files of the model's folder, and in no other folder."""
    onnx = import_optional("onnx", extra="export")
    for tensor in _external(model):
        room -= _external_size(path, tensor)
        if room < 0:
            raise InputError(f"{path}: the files that hold its weights are too large together")
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # it raises several kinds
        raise InputError(f"{path}: its weights cannot be read: {one_line(error)}") from error
    if left := next(_external(model), None):
        raise InputError(f"{path}: tensor {shown(left.name)} lies in another file: refused")


def _external_size(path: Path, tensor: Any) -> int:  # noqa: ANN401 - a message of onnx
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    where = f"{path}: tensor {shown(tensor.name)}: external data {shown(location)}"
    folder = path.parent.resolve()
    try:
        file = (folder / location).resolve()
        if not location or not file.is_relative_to(folder):
            raise InputError(f"{where}: expected a file in the model's folder: refused")
        if not file.is_file():
            raise InputError(f"{where}: file not found")
        held = file.stat().st_size
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", held - offset))
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: {one_line(error)}") from error
    if offset < 0 or length < 0 or offset + length > held:
        raise InputError(f"{where}: bytes {offset} to {offset + length} of {held}: refused")
    return length


def _external(message: Any) -> Iterator[Any]:  # noqa: ANN401 - any message of onnx
    """Tensors anywhere in a message whose values lie in another file."""
    onnx = import_optional("onnx", extra="export")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in [value] if hasattr(value, "ListFields") else value:
            if not isinstance(inner, onnx.TensorProto):
                yield from _external(inner)
            elif inner.data_location == onnx.TensorProto.EXTERNAL:
                yield inner


def _bound_shapes(path: Path, model: Any) -> None:  # noqa: ANN401 - a message of onnx
    for graph in graphs_of(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            # A size that is not fixed counts as nothing known about it.
            sizes = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
            if prod(sizes) > LARGEST_TENSOR:
                raise InputError(
                    f"{path}: tensor {shown(value.name)} of shape {sizes}, expected at most"
                    f" {LARGEST_TENSOR} values"
                )


def _name_nodes(model: Any) -> None:  # noqa: ANN401 - a message of onnx
    """Give each node a name that no other has: messages of onnxruntime tell them by it."""
    taken: set[str] = set()
    place = 0
    for graph in graphs_of(model.graph):
        for node in graph.node:
            place += 1
            if not node.name or node.name in taken:
                node.name = f"{node.name or node.op_type}#{place}"
            taken.add(node.name)
