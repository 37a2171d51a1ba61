"""Sums that lose contributions: scatters that overwrite where they should add.

``index_add`` and ``scatter_add`` become ``ScatterElements`` or ``ScatterND`` in ONNX. Without
``reduction="add"``, which ONNX has from opset 16 on, each place keeps the last contribution that
comes to it. The same operators without it also assign to a slice, which is right as long as no
index comes twice. So the indices decide, and they are looked at while the model runs.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlffd.errors import InputError
from mlffd.export.foreign_model import element_types, graphs_of, one_line, opset_of
from mlffd.optional import import_optional

#: The first opset whose scatters can add.
_FIRST_OPSET = 16
_SCATTERS = ("Scatter", "ScatterElements", "ScatterND")


@dataclass(frozen=True)
class OverwritingSum:
    """A scatter of floating numbers that overwrites.

    Attributes:
        node: its name.
        operator: of the node.
        values: that it was given (of ``ScatterND``: slices), in the structure where it loses most;
            None: it was not run.
        lost: how many of them had the place of a later one.
    """

    node: str
    operator: str
    values: int | None = None
    lost: int | None = None


def overwriting_sums(model: Any) -> tuple[OverwritingSum, ...]:  # noqa: ANN401 - a message of onnx
    """Scatters of floating numbers without a reduction, whatever their indices are."""
    onnx = import_optional("onnx", extra="export")
    types = element_types(model)
    tensor = onnx.TensorProto
    floating = {tensor.FLOAT, tensor.DOUBLE, tensor.FLOAT16, tensor.BFLOAT16, None}
    return tuple(
        OverwritingSum(node.name, node.op_type)
        for graph in graphs_of(model.graph)
        for node in graph.node
        if node.op_type in _SCATTERS
        and node.domain in ("", "ai.onnx")
        and _attribute(node, "reduction", b"none") == b"none"
        and types.get(node.input[0]) in floating
    )


def has_racing_sums(model: Any) -> bool:  # noqa: ANN401 - a message of onnx
    """Whether it adds with ``ScatterND``: onnxruntime 1.32's loses terms if it has more threads."""
    return any(
        node.op_type == "ScatterND" and _attribute(node, "reduction", b"none") == b"add"
        for graph in graphs_of(model.graph)
        for node in graph.node
    )


def show_indices(
    model: Any,  # noqa: ANN401 - a message of onnx
    sums: tuple[OverwritingSum, ...],
) -> tuple[Any, dict[str, str]]:
    """A copy of the model that also returns the indices of scatters, and their outputs' names.

    Those inside branches and loops cannot be seen from outside and are left out.
    """
    onnx = import_optional("onnx", extra="export")
    model = copy.deepcopy(model)
    wanted = {item.node for item in sums}
    outputs = {}
    for node in [node for node in model.graph.node if node.name in wanted]:
        name = f"{node.name}/mlffd/indices"
        model.graph.node.append(onnx.helper.make_node("Identity", [node.input[1]], [name], name))
        model.graph.output.append(onnx.ValueInfoProto(name=name))
        outputs[node.name] = name
    return model, outputs


def count_lost(
    model: Any,  # noqa: ANN401 - a message of onnx
    item: OverwritingSum,
    indices: NDArray[np.int64],
) -> OverwritingSum:
    """The sum, with how many values it loses to these indices if that is more than before."""
    (node,) = [node for node in model.graph.node if node.name == item.node]
    if item.operator == "ScatterND":
        places = np.moveaxis(indices, -1, 0)
    else:
        places = np.indices(indices.shape, dtype=np.int64)
        places[_attribute(node, "axis", 0)] = indices
    values = places[0].size
    # One number for each place: places as such are slow to sort.
    lowest = places.reshape(len(places), -1).min(axis=1, initial=0)
    extent = places.reshape(len(places), -1).max(axis=1, initial=0) - lowest + 1
    flat = np.zeros(places.shape[1:], dtype=np.int64)
    for along, start, size in zip(places, lowest, extent, strict=True):
        flat = flat * size + (along - start)
    lost = values - len(np.unique(flat))
    if item.lost is not None and item.lost >= lost:
        return item
    return OverwritingSum(item.node, item.operator, values, lost)


def make_add(model: Any, sums: tuple[OverwritingSum, ...]) -> Any:  # noqa: ANN401
    """A copy of the model in which these scatters add, in an opset that can.

    Raises:
        InputError: onnx cannot convert it to that opset.
    """
    onnx = import_optional("onnx", extra="export")
    if opset_of(model) < _FIRST_OPSET:
        converter = import_optional("onnx.version_converter", extra="export")
        try:
            model = converter.convert_version(model, _FIRST_OPSET)
        except Exception as error:  # it raises several kinds
            raise InputError(f"onnx cannot convert it to opset 16: {one_line(error)}") from error
    else:
        model = copy.deepcopy(model)
    wanted = {item.node for item in sums}
    for graph in graphs_of(model.graph):
        for node in graph.node:
            if node.name in wanted:
                kept = [item for item in node.attribute if item.name != "reduction"]
                kept = copy.deepcopy(kept)
                del node.attribute[:]
                node.attribute.extend(kept)
                node.attribute.append(onnx.helper.make_attribute("reduction", "add"))
    return model


def _attribute(node: Any, name: str, default: Any) -> Any:  # noqa: ANN401 - of any type
    onnx = import_optional("onnx", extra="export")
    found = (item for item in node.attribute if item.name == name)
    return next((onnx.helper.get_attribute_value(item) for item in found), default)
