"""Operators that onnxruntime has no kernel for: which, and what the model computes without them.

A model that does not load can be wrong besides. So the one node that stops it is computed in
another type, its inputs cast to it and its results cast back, to see what the rest is worth. That
is a diagnosis, not a repair: where the type matters, results may be rounded otherwise.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlffd.errors import InputError
from mlffd.export.foreign_model import element_types, graphs_of, one_line, opset_of
from mlffd.optional import import_optional
from mlffd.runtimes.foreign_onnx import open_session

#: A model with more nodes than this that do not load is given up.
MOST_REPLACED = 16

_NO_KERNEL = re.compile(
    r"Could not find an implementation for (?P<operator>\S+?)\(\d+\) node with name '(?P<node>.*)'"
)
#: Types to compute in instead, in the order of trying: what keeps the values comes first.
_FLOATS = ("tensor(float)", "tensor(double)")
_INTEGERS = ("tensor(int64)", "tensor(int32)", *_FLOATS)


@dataclass(frozen=True)
class LoadError:
    """Why onnxruntime does not load a model.

    Attributes:
        operator: that it has no kernel for; None: it is something else.
        type: of the node's inputs, such as ``bool``; None: not known.
        node: its name; None: not known.
        reason: what onnxruntime says, in one line.
    """

    operator: str | None
    type: str | None
    node: str | None
    reason: str


@dataclass(frozen=True)
class Replaced:
    """A node that was computed in another type.

    Attributes:
        node: its name.
        operator: of the node.
        type: that the model asks for.
        instead: that it was computed in.
    """

    node: str
    operator: str
    type: str
    instead: str


def load_error(model: Any) -> LoadError | None:  # noqa: ANN401 - a message of onnx
    """Why onnxruntime does not load a model whose nodes have names; None: it loads."""
    try:
        open_session(model.SerializeToString())
    except InputError:
        raise
    except Exception as error:  # onnxruntime's own kinds, which share no base
        reason = one_line(error)
        if (found := _NO_KERNEL.search(str(error))) is None:
            return LoadError(None, None, None, reason)
        operator, name = found["operator"], found["node"]
        types = None
        if (node := _find(model, name)) is not None:
            types = ", ".join(dict.fromkeys(_short(t) for t in _input_types(model, node) if t))
        return LoadError(operator, types or None, name, reason)
    return None


def replace_unloadable(
    model: Any,  # noqa: ANN401 - a message of onnx
) -> tuple[Any, tuple[Replaced, ...]]:
    """A copy of the model that loads, or comes as far as it can, and the nodes replaced in it."""
    replaced: list[Replaced] = []
    error = load_error(model)
    while error is not None and error.node is not None and len(replaced) < MOST_REPLACED:
        for candidate, change in _candidates(model, error.node):
            after = load_error(candidate)
            if after is None or after.node not in (None, error.node):
                model, error = candidate, after
                replaced.append(change)
                break
        else:
            break
    return model, tuple(replaced)


def _candidates(model: Any, name: str) -> Iterator[tuple[Any, Replaced]]:  # noqa: ANN401
    """Copies of a model in which one node computes in another type, for each type that it may."""
    onnx = import_optional("onnx", extra="export")
    node = _find(model, name)
    if node is None:
        return
    try:
        schema = onnx.defs.get_schema(node.op_type, opset_of(model), node.domain)
    except onnx.defs.SchemaError:  # an operator of somebody's own
        return
    now = _input_types(model, node)
    for variable in schema.type_constraints:
        places = [
            i
            for i, type_name in enumerate(now)
            if type_name and _formal(schema.inputs, i).type_str == variable.type_param_str
        ]
        if not places:
            continue
        current = now[places[0]]
        assert current is not None
        if "string" in current or "complex" in current:
            continue
        others = _FLOATS if "float" in current or "double" in current else _INTEGERS
        for other in others:
            if other != current and other in variable.allowed_type_strs:
                yield (
                    _cast_around(model, name, places, other),
                    Replaced(name, node.op_type, _short(current), _short(other)),
                )


def _cast_around(model: Any, name: str, places: list[int], other: str) -> Any:  # noqa: ANN401
    """A copy of the model in which some inputs of a node are cast, and its results cast back."""
    onnx = import_optional("onnx", extra="export")
    types = element_types(model)
    model = copy.deepcopy(model)
    for graph in graphs_of(model.graph):
        for position, node in enumerate(graph.node):
            if node.name != name:
                continue
            before, after = [], []
            for i in places:
                cast = f"{name}/mlffd/input_{i}"
                to = getattr(onnx.TensorProto, _short(other).upper())
                before.append(onnx.helper.make_node("Cast", [node.input[i]], [cast], cast, to=to))
                node.input[i] = cast
            for i, output in enumerate(node.output):
                if output in types:
                    cast = f"{name}/mlffd/output_{i}"
                    after.append(
                        onnx.helper.make_node("Cast", [cast], [output], cast, to=types[output])
                    )
                    node.output[i] = cast
            nodes = [*graph.node[:position], *before, node, *after, *graph.node[position + 1 :]]
            kept = [copy.deepcopy(item) for item in nodes]
            del graph.node[:]
            graph.node.extend(kept)
            return model
    raise AssertionError(f"no node is called {name}")


def _find(model: Any, name: str) -> Any:  # noqa: ANN401 - a message of onnx, or None
    nodes = (node for graph in graphs_of(model.graph) for node in graph.node)
    return next((node for node in nodes if node.name == name), None)


def _input_types(model: Any, node: Any) -> list[str | None]:  # noqa: ANN401
    """Such as ``tensor(bool)``, for each input of a node; None where it is not known."""
    onnx = import_optional("onnx", extra="export")
    types = element_types(model)
    names = {number: _spelt(name) for name, number in onnx.TensorProto.DataType.items()}
    return [names[types[i]] if i in types else None for i in node.input]


def _spelt(name: str) -> str:
    """ONNX's name of an element type as its schemas spell it."""
    return f"tensor({name.lower()})"


def _short(type_name: str) -> str:
    return type_name.removeprefix("tensor(").removesuffix(")")


def _formal(inputs: Any, position: int) -> Any:  # noqa: ANN401 - the schema's
    """The formal input of an actual one: the last stands for all that follow."""
    return inputs[min(position, len(inputs) - 1)]
