"""Sums over edges and atoms in ONNX, without scatters.

What PyTorch calls ``index_add`` would become a ``ScatterND`` that adds. On the CPU onnxruntime 1.32
lets its threads add to the same place at once, and loses contributions in silence: energies are
wrong by tenths of an electron-volt. ``ScatterElements`` is right, and many times slower. Here each
place gathers what belongs to it instead, and adds it up in a fixed order: the same result in every
run, whatever the number of threads.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mlffd.optional import import_optional

#: A value in the graph that is being made; the exporter's types are not public.
Value = Any


def translations() -> dict[Any, Callable[..., Any]]:
    """How the ONNX exporter is to write sums, by operation of PyTorch.

    Every sum writes the same table of members again: equal nodes are to be merged later.
    """
    aten = torch.ops.aten
    return {aten.index_add.default: _index_add, aten.index_put.default: _index_put}


def _index_add(into: Value, dim: int, index: Value, source: Value, alpha: float = 1) -> Value:
    """``into[index[e]] += source[e]`` for all e."""
    if dim != 0 or alpha != 1:
        raise NotImplementedError(f"index_add along dimension {dim} with factor {alpha}")
    return _sum(into, index, source)


def _index_put(
    into: Value, indices: Sequence[Value], values: Value, accumulate: bool = False
) -> Value:
    """The same: what the gradient of indexing adds up with."""
    if not accumulate or len(indices) != 1:
        raise NotImplementedError("index_put that overwrites, or with more than one index")
    return _sum(into, indices[0], values)


def _sum(into: Value, index: Value, source: Value) -> Value:
    op, ir = _operators(), import_optional("onnx_ir", extra="export")
    table = _members(index, op.Shape(into, start=0, end=1))
    zero = op.Constant(value=ir.tensor([0.0], dtype=source.dtype))
    nothing = op.Expand(zero, op.Concat(_vector(1), op.Shape(source, start=1), axis=0))
    members = op.Gather(op.Concat(source, nothing, axis=0), table)
    return op.Add(into, op.ReduceSum(members, _vector(1), keepdims=0))


def _members(index: Value, rows: Value) -> Value:
    """Where in the index each row stands: int64 ``[rows, K]``, in order.

    K is how often the most frequent row comes. What is left over is filled with the length of the
    index, one more than its last place.
    """
    op = _operators()
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    length = op.Shape(index)
    # Of equal values the earlier comes first: the order of the sum is that of the edges.
    _, order = op.TopK(index, length, axis=0, largest=0, sorted=1)
    none, ones = op.Expand(_vector(0), rows), op.Expand(_vector(1), length)
    counts = op.ScatterElements(none, index, ones, axis=0, reduction="add")
    counts_below = op.Sub(op.CumSum(counts, zero), counts)
    slots = op.Range(zero, op.ReduceMax(counts, keepdims=0), one)
    taken = op.Less(slots, op.Unsqueeze(counts, _vector(1)))
    places = op.Add(slots, op.Unsqueeze(counts_below, _vector(1)))
    return op.Gather(op.Concat(order, length, axis=0), op.Where(taken, places, length))


def _vector(value: int) -> Value:
    """A vector of one number."""
    return _operators().Constant(value_ints=[value])


def _operators() -> Any:  # noqa: ANN401 - a package without types
    """The standard operators of ONNX; later opsets have the same."""
    return import_optional("onnxscript", extra="export").opset18
