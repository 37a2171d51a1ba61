"""Functions and numbers keep their digits on the way through ONNX and onnxruntime."""

import math

import pytest
import torch

pytest.importorskip("onnxscript")
import onnx_ir
import onnxruntime

from mlffd.export.onnx import convert


class Functions(torch.nn.Module):
    """Of float32 numbers; the product is float64."""

    def forward(self, x):
        return torch.sigmoid(x), torch.nn.functional.silu(x), x.double() * math.pi


@pytest.fixture(scope="module")
def run():
    """The functions as onnxruntime computes them."""
    shapes = ({0: torch.export.Dim("count")},)
    program = torch.export.export(Functions(), (torch.ones(3),), dynamic_shapes=shapes)
    model = onnx_ir.to_proto(convert(program, 18, ["sigmoid", "silu", "product"]))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda x: [torch.from_numpy(array) for array in session.run(None, {"x": x.numpy()})]


def errors(run, x):
    """Relative ones, in units of what rounding may cost, function by function."""
    exact = Functions()(x.double())
    return [
        (found.double() - right) / right / torch.finfo(found.dtype).eps
        for found, right in zip(run(x), exact, strict=True)
    ]


def test_functions_are_as_exact_as_their_dtype(run):
    """onnxruntime's own operator has no digit right below -10."""
    for error in errors(run, torch.linspace(-30.0, 30.0, 20_000)):
        assert error.abs().max() < 3


def test_errors_average_out(run):
    for error in errors(run, torch.linspace(-3.0, -1e-3, 20_000)):
        assert error.mean().abs() < 0.1


def test_far_away_nothing_overflows(run):
    sigmoid, silu, _ = run(torch.tensor([-1e4, 1e4]))

    assert sigmoid.tolist() == [0.0, 1.0]
    assert silu.tolist() == [0.0, 1e4]
