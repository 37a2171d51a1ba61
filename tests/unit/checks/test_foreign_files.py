"""ONNX files that somebody else exported: which check says what is wrong with them."""

import numpy as np
import pytest

from mlffd.checks.cases import named_subjects, plan
from mlffd.config import Settings
from mlffd.errors import InputError
from mlffd.verdicts import Verdict

onnx = pytest.importorskip("onnx", reason="needs the extra export")
pytest.importorskip("onnxruntime", reason="needs the extra export")


@pytest.fixture
def reference(root):
    return root / "golden" / "checkpoints" / "ultra_tiny.pt"


def check(path, reference):
    subjects = named_subjects([str(path)], Settings(), reference=reference)
    return {case.check.name: case.run() for case in plan(subjects).cases}


def write_model(path, *, atoms="atoms"):
    """An energy that has nothing to do with any student: the sum of all coordinates."""
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["positions"], ["energy"], keepdims=0)],
        "sum",
        [
            helper.make_tensor_value_info("numbers", kinds.INT64, [atoms]),
            helper.make_tensor_value_info("positions", kinds.FLOAT, [atoms, 3]),
        ],
        [helper.make_tensor_value_info("energy", kinds.FLOAT, [])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_file_that_loads_and_means_something_else_fails_to_match(tmp_path, reference):
    evidence = check(write_model(tmp_path / "theirs.onnx"), reference)

    assert {name: e.verdict for name, e in evidence.items()} == {
        "artifact_loads": Verdict.PASS,
        "artifact_matches": Verdict.FAIL,
        "artifact_dynamic_shapes": Verdict.PASS,
    }
    assert "gives no forces" in evidence["artifact_matches"].message


def test_a_size_that_is_baked_fails_the_shapes(tmp_path, reference):
    evidence = check(write_model(tmp_path / "theirs.onnx", atoms=3), reference)

    assert evidence["artifact_dynamic_shapes"].verdict is Verdict.FAIL
    assert "takes 3 atoms only" in evidence["artifact_dynamic_shapes"].message


def test_nothing_that_could_be_compared_is_no_pass(tmp_path, reference):
    """No molecule that is tried has 1,234 atoms."""
    evidence = check(write_model(tmp_path / "theirs.onnx", atoms=1234), reference)

    assert evidence["artifact_matches"].verdict is Verdict.INVALID


def test_it_needs_a_reference(tmp_path):
    path = write_model(tmp_path / "theirs.onnx")

    with pytest.raises(InputError, match="--reference"):
        named_subjects([str(path)], Settings())


def test_what_is_no_model_is_invalid(tmp_path, reference):
    path = tmp_path / "theirs.onnx"
    path.write_bytes(np.random.default_rng(0).bytes(1000))

    verdicts = {e.verdict for e in check(path, reference).values()}

    assert verdicts == {Verdict.INVALID}


def test_the_seeds_export_does_not_load_and_loses_contributions(upstream):
    evidence = check(upstream / "original_model.onnx", upstream / "original.pt")

    loads, matches = evidence["artifact_loads"], evidence["artifact_matches"]
    assert (loads.verdict, matches.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert "'EyeLike' for type bool" in loads.message
    assert len(matches.details["lossy_sums"]) == 6
    assert "ScatterElements without reduction='add'" in matches.message
    assert matches.details["measured"]["energy_median"] > 1.0
    assert matches.details["mended"]["energy"] < 1e-4
