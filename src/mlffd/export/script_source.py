"""A traced graph as TorchScript source.

`torch.jit.trace` bakes the sizes of its example into what it records, and `torch.jit.script` does
not compile graphs of ATen operations. But such a graph is one call after another, and TorchScript
knows every one of them under its own spelling.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

from mlffd.errors import InputError

_BINARY: dict[Callable[..., Any], str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.floordiv: "//",
}


def script_source(graph: GraphModule, inputs: Sequence[str]) -> str:
    """A method ``forward`` that computes what the graph does; constants are attributes.

    New tensors are made on the device of the first input, wherever the graph was traced.

    Args:
        graph: flat, of ATen operations; its output is a tuple of tensors.
        inputs: what to call its inputs, all of them tensors.

    Raises:
        InputError: the graph has an operation or argument that TorchScript has no words for.
    """
    nodes = list(graph.graph.nodes)
    placeholders = [node for node in nodes if node.op == "placeholder"]
    names = dict(zip(placeholders, inputs, strict=True))
    writer = _Writer(names, device=f"{inputs[0]}.device")
    body = [writer.statement(node) for node in nodes if node.op != "placeholder"]
    outputs = ", ".join(["Tensor"] * len(_outputs(nodes[-1])))
    arguments = ", ".join(f"{name}: Tensor" for name in inputs)
    lines = [f"def forward(self, {arguments}) -> Tuple[{outputs}]:", *(f"    {b}" for b in body)]
    return "\n".join(lines) + "\n"


def _outputs(node: Node) -> Sequence[object]:
    (values,) = node.args
    assert isinstance(values, Sequence)
    return values


class _Writer:
    def __init__(self, names: dict[Node, str], device: str) -> None:
        self._names, self._device = names, device

    def statement(self, node: Node) -> str:
        if node.op == "output":
            return "return " + ", ".join(self._value(value) for value in _outputs(node))
        if node.op == "get_attr":
            return f"{node.name} = self.{node.target}"
        if node.op != "call_function":
            raise InputError(f"TorchScript: the graph has a {node.op} node, {node.name}")
        return f"{node.name} = {self._call(node)}"

    def _call(self, node: Node) -> str:
        target = node.target
        values = [self._value(value) for value in node.args]
        if target is operator.getitem:
            return f"{values[0]}[{values[1]}]"
        if target in _BINARY:
            return f"{values[0]} {_BINARY[target]} {values[1]}"
        if target is torch.ops.aten.sym_size.int:
            return f"{values[0]}.size({values[1]})"
        if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
            raise InputError(f"TorchScript: operation {target} is not one of PyTorch's tensors")
        values += [f"{key}={self._value(value)}" for key, value in node.kwargs.items()]
        return f"torch.ops.aten.{target._schema.name.partition('::')[2]}({', '.join(values)})"

    def _value(self, value: object) -> str:
        if isinstance(value, Node):
            return self._names.get(value, value.name)
        if isinstance(value, list | tuple):
            return f"[{', '.join(self._value(item) for item in value)}]"
        if isinstance(value, torch.device):
            return self._device
        if isinstance(value, float) and not math.isfinite(value):
            return f'float("{value}")'
        plain = bool | int | float | torch.dtype | torch.layout | torch.memory_format
        if value is None or isinstance(value, plain):
            return repr(value)
        raise InputError(f"TorchScript: cannot write {value!r} of type {type(value).__name__}")
