"""Functions and numbers in ONNX with all the digits that their dtype has.

Each of them is written otherwise by PyTorch's exporter, or computed otherwise by onnxruntime, with
errors that are small but all of one sign: in sums over edges they do not average out.
"""

from collections.abc import Callable
from typing import Any

import torch

from mlffd.optional import import_optional

#: A value in the graph that is being made; the exporter's types are not public.
Value = Any


def translations() -> dict[Any, Callable[..., Any]]:
    """How the ONNX exporter is to write them, by operation of PyTorch."""
    aten = torch.ops.aten
    return {
        aten.scalar_tensor.default: _number,
        aten.sigmoid.default: _sigmoid,
        aten.silu.default: _silu,
    }


def _number(value: float, dtype: int) -> Value:
    """A number in the dtype where it is used: the exporter's own rounds it to float32 first."""
    ir = import_optional("onnx_ir", extra="export")
    return _operators().Constant(value=ir.tensor(value, dtype=ir.DataType(dtype)))


def _sigmoid(x: Value) -> Value:
    """The logistic function, by its definition.

    For the operator of that name onnxruntime 1.32 takes a rational approximation on the CPU, exact
    to 1e-7, of which nothing is left below -10. With it, float32 forces of a trained student were
    up to twenty times as far from those in float64.
    """
    op = _operators()
    return op.Reciprocal(op.Add(op.Exp(op.Neg(x)), _number(1.0, x.dtype)))


def _silu(x: Value) -> Value:
    return _operators().Mul(x, _sigmoid(x))


def _operators() -> Any:  # noqa: ANN401 - a package without types
    """The standard operators of ONNX; later opsets have the same."""
    return import_optional("onnxscript", extra="export").opset18
