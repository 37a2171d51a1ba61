"""A simplified model is small and means the same; one that scatters is refused."""

import warnings

import pytest
import torch

pytest.importorskip("onnxscript")
import onnx_ir

import mlffd.export.segment_sums
from mlffd.errors import RefusedError
from mlffd.export.manifest import TensorSpec
from mlffd.export.onnx import convert
from mlffd.export.onnx_simplification import refuse_scatters, simplify


class Sums(torch.nn.Module):
    """Two sums over the same index, and a small number that counts."""

    def forward(self, index, source):
        into = source.new_zeros(3, 2)
        first = into.index_add(0, index, source + 1e-8)
        return first.index_add(0, index, first[index])


EXAMPLE = (torch.tensor([0, 2, 2, 1]), torch.ones(4, 2, dtype=torch.float64))


def converted():
    """As the exporter writes it."""
    edges = torch.export.Dim("edges", min=1)
    program = torch.export.export(Sums(), EXAMPLE, dynamic_shapes=({0: edges}, {0: edges}))
    return convert(program, 18, ["sums"])


def spec(name, dtype, *shape):
    return TensorSpec(name=name, dtype=dtype, shape=shape, unit="", meaning="")


INPUTS = (spec("index", "int64", "edges"), spec("source", "float64", "edges", 2))


OUTPUTS = (spec("sums", "float64", 3, 2),)


def sorts(model):
    return [node.op_type for node in model.graph].count("TopK")


@pytest.fixture(scope="module")
def models():
    """Before and after."""
    before = converted()
    after = before.clone()
    simplify(after, INPUTS, OUTPUTS)
    return before, after


@pytest.fixture(scope="module")
def simplified(models):
    return models[1]


def test_sums_over_the_same_index_sort_it_once(models):
    assert [sorts(model) for model in models] == [2, 1]


def test_a_small_number_is_not_taken_for_zero(simplified, tmp_path):
    """The exporter's own optimizer does that."""
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx_ir.save(simplified, tmp_path / "sums.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "sums.onnx", providers=["CPUExecutionProvider"]
    )
    index, source = torch.tensor([1, 1, 0]), torch.zeros(3, 2, dtype=torch.float64)

    (found,) = session.run(None, {"index": index.numpy(), "source": source.numpy()})

    expected = Sums()(index, source)
    assert expected.max().item() == pytest.approx(6e-8, rel=1e-12)
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-12, atol=0.0)


def test_sizes_have_the_names_of_the_manifest_and_sources_are_not_told(simplified):
    proto = onnx_ir.to_proto(simplified)
    sizes = [dim.dim_param for dim in proto.graph.input[1].type.tensor_type.shape.dim]

    assert sizes == ["edges", ""]
    assert b".py" not in proto.SerializeToString()
    assert not any(node.metadata_props or node.doc_string for node in proto.graph.node)


def test_sums_as_the_exporter_writes_them_are_refused(monkeypatch):
    """They add; but onnxruntime lets its threads add to the same place at once."""
    monkeypatch.setattr(mlffd.export.segment_sums, "translations", dict)

    with pytest.raises(RefusedError, match=r"ScatterND \w+, ScatterND \w+ of floating"):
        simplify(converted(), INPUTS, OUTPUTS)


def test_sums_as_the_old_exporter_writes_them_are_refused(tmp_path):
    """Of sizes that it does not know it loses all but one of the contributions to a place."""
    path = tmp_path / "old.onnx"
    names = ["index", "source"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.onnx.export(
            Sums(),
            EXAMPLE,
            path,
            dynamo=False,
            opset_version=18,
            input_names=names,
            dynamic_axes={name: [0] for name in names},
        )
    assert any("duplicated values in 'index'" in str(warning.message) for warning in caught)

    with pytest.raises(RefusedError, match="ScatterElements"):
        refuse_scatters(onnx_ir.load(path))
