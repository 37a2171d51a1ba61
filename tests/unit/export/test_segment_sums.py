"""Sums in ONNX add everything up, in the same order every time, and touch nothing else."""

import pytest
import torch

pytest.importorskip("onnxscript")
import onnx
import onnx_ir
import onnxruntime

from mlffd.export.onnx import convert
from mlffd.export.segment_sums import translations

EDGES, ROWS = torch.export.Dim("edges", min=0), torch.export.Dim("rows", min=1)


class Sums(torch.nn.Module):
    """A sum over edges, and the one that the gradient of indexing is."""

    def forward(self, into, index, source):
        vectors = into[:, None, :].expand(-1, 3, -1).clone()
        return (
            into.index_add(0, index, source),
            vectors.index_put([index], source[:, None, :] * vectors[index], accumulate=True),
        )


def example(edges, rows, dtype=torch.float64):
    generator = torch.Generator().manual_seed(edges)
    return (
        torch.randn(rows, 4, dtype=dtype, generator=generator),
        torch.randint(0, rows, (edges,), generator=generator),
        torch.randn(edges, 4, dtype=dtype, generator=generator),
    )


@pytest.fixture(scope="module")
def model():
    """As the exporter writes it."""
    shapes = ({0: ROWS}, {0: EDGES}, {0: EDGES})
    program = torch.export.export(Sums(), example(7, 5), dynamic_shapes=shapes)
    return onnx_ir.to_proto(convert(program, 18, ["added", "put"]))


def run(model, arguments, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # constants are folded by what follows, not here
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [item.name for item in session.get_inputs()]
    feed = dict(zip(names, (tensor.numpy() for tensor in arguments), strict=True))
    return [torch.from_numpy(array) for array in session.run(None, feed)]


CASES = {
    "nothing to add": example(0, 5),
    "one": example(1, 1),
    "one row gets all": (torch.zeros(3, 4).double(), torch.ones(9).long(), example(9, 3)[2]),
    "most rows get nothing": example(3, 50),
    "many": example(5000, 40),
}


@pytest.mark.parametrize("case", CASES)
def test_everything_is_added_up_whatever_the_order_of_the_index(model, case):
    arguments = CASES[case]

    for found, expected in zip(run(model, arguments), Sums()(*arguments), strict=True):
        torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-11)


def test_threads_do_not_change_a_bit(model):
    alone = run(model, CASES["many"])

    for threads in (1, 2, 4):
        for found, expected in zip(run(model, CASES["many"], threads), alone, strict=True):
            assert torch.equal(found, expected)


def test_what_is_not_a_number_stays_in_its_row(model):
    into, _, source = example(4, 3)
    source[0] = torch.nan

    sums, _ = run(model, (into, torch.tensor([1, 0, 2, 2]), source))

    assert sums.isnan().all(dim=1).tolist() == [False, True, False]
    assert not sums[[0, 2]].isnan().any()


def test_only_integers_are_scattered(model):
    inferred = onnx.shape_inference.infer_shapes(model)
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    scatters = [node for node in model.graph.node if node.op_type.startswith("Scatter")]

    assert {types[node.input[0]] for node in scatters} == {onnx.TensorProto.INT64}


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        (torch.ops.aten.index_add.default, ("into", 1, "index", "source")),
        (torch.ops.aten.index_add.default, ("into", 0, "index", "source", 2)),
        (torch.ops.aten.index_put.default, ("into", ["index"], "values")),
        (torch.ops.aten.index_put.default, ("into", ["one", "another"], "values", True)),
    ],
    ids=["another dimension", "a factor", "overwriting", "two indices"],
)
def test_what_would_become_another_sum_is_refused(operation, arguments):
    with pytest.raises(NotImplementedError, match="index_"):
        translations()[operation](*arguments)
