"""ONNX files of fewer bits: smaller, exactly the rounded student, or quantized by onnxruntime."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
import onnx
import onnxruntime

from mlffd.checkpoints import read_checkpoint, save_checkpoint
from mlffd.checkpoints.rounding import INT8, ROUNDINGS
from mlffd.errors import InputError, RefusedError
from mlffd.export import exporting, onnx_precision
from mlffd.export import onnx as export_onnx
from mlffd.export.deviations import TOLERANCES, exceeding
from mlffd.export.exporting import export
from mlffd.export.manifest import read_manifest
from mlffd.export.onnx_precision import DYNAMIC, STATIC
from mlffd.structures import probes
from mlffd.structures.dataset import write_dataset
from mlffd.students import build

ELEMENTS = (1, 6, 8)
LOWER = (*ROUNDINGS, DYNAMIC, STATIC)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A student whose matrices are long enough to be rounded."""
    torch.manual_seed(4)
    student = build("StudentForceField", {"hidden_dim": 32, "num_interactions": 1, "num_rbf": 4})
    with torch.no_grad():
        student.get_parameter("energy_head.4.weight").mul_(10.0)  # so that forces are sizeable
    student.get_buffer("reference_energies")[6] = -1035.123456789012
    path = tmp_path_factory.mktemp("student") / "small.pt"
    save_checkpoint(path, student, elements=ELEMENTS, training={})
    return read_checkpoint(path)


@pytest.fixture(scope="module")
def full(checkpoint, tmp_path_factory):
    """What is the same for every precision: the file of float32, which takes seconds to write."""
    path = tmp_path_factory.mktemp("full") / "full.onnx"
    return path, export_onnx.write(checkpoint.student(), path)


@pytest.fixture(autouse=True)
def _written_once(full, monkeypatch):
    def copy(_student: object, path: Path, *, opset: int) -> object:
        assert opset == 18
        shutil.copy(full[0], path)
        return full[1]

    monkeypatch.setattr(export_onnx, "write", copy)


def written(checkpoint, folder: Path, precision: str, calibration: str | None = None) -> Path:
    """A file that nobody has verified."""
    path = folder / f"{precision}.onnx"
    onnx_precision.write(checkpoint, path, precision, calibration=calibration)
    return path


def operators(path: Path) -> dict[str, int]:
    found = [node.op_type for node in onnx.load(path).graph.node]
    return {name: found.count(name) for name in set(found)}


@pytest.mark.parametrize("precision", LOWER)
def test_it_is_verified_and_says_what_it_is(checkpoint, tmp_path, precision):
    """Batches of all sizes, periodic ones too: also those of another size than calibrated with."""
    artifact = export(checkpoint, "small", "onnx", precision, tmp_path)
    manifest = read_manifest(artifact)
    assert artifact.name == f"small-onnx-{precision}.onnx"
    assert manifest.weights == checkpoint.fingerprint  # of what was exported, not what was left
    assert {spec.dtype for spec in manifest.inputs} == {"int64", "float32"}
    assert exceeding(manifest.measured, TOLERANCES["fp32"])
    assert manifest.tolerance == TOLERANCES[precision]
    assert manifest.created["warnings"] == ""
    assert manifest.versions["onnxruntime"] == onnxruntime.__version__
    onnx.checker.check_model(onnx.load(artifact))


@pytest.mark.parametrize("precision", ROUNDINGS)
def test_weights_in_fewer_bits_make_a_smaller_file_and_compute_in_float32(
    checkpoint, full, tmp_path, precision
):
    artifact = written(checkpoint, tmp_path, precision)
    before, after = operators(full[0]), operators(artifact)
    added = {name: count - before.get(name, 0) for name, count in after.items()}
    matrices = 6  # the last layer of the update is in two parts
    unpacking = "DequantizeLinear" if precision == INT8 else "Cast"
    assert {name: count for name, count in added.items() if count} == {unpacking: matrices}
    values = 101 * 32 + 96 * 32 + 32 * 64 + 96 * 32 + 16 * 32
    saved = 3 if precision == INT8 else 2
    assert full[0].stat().st_size - artifact.stat().st_size > 0.9 * saved * values


def test_integers_are_multiplied_where_they_are_meant_to_be(checkpoint, full, tmp_path):
    before = operators(full[0])
    products = before["Gemm"] + before["MatMul"]
    dynamic = operators(written(checkpoint, tmp_path, DYNAMIC))
    assert dynamic["MatMulInteger"] == products
    assert not dynamic.keys() & {"Gemm", "MatMul"}
    static = operators(written(checkpoint, tmp_path, STATIC))
    assert (static["Gemm"], static["MatMul"]) == (before["Gemm"], before["MatMul"])
    assert static["DequantizeLinear"] >= 2 * before["MatMul"]


def test_calibration_with_a_data_set_changes_the_scales(checkpoint, tmp_path):
    """A set of one stretched molecule has a narrower range than all molecules together."""
    path = tmp_path / "data.h5"
    water = next(m for m in probes.molecules(frozenset(ELEMENTS)) if len(m) == 3)
    write_dataset(path, [water], metadata={})
    usual = written(checkpoint, tmp_path, STATIC).read_bytes()
    assert written(checkpoint, tmp_path, STATIC).read_bytes() == usual
    assert written(checkpoint, tmp_path, STATIC, str(path)).read_bytes() != usual


@pytest.mark.parametrize(
    ("precision", "calibration", "message"),
    [
        ("fp16", "data.h5", "calibration: only int8-static has one, not fp16"),
        (STATIC, "gone.h5", "gone.h5"),
    ],
)
def test_a_calibration_that_cannot_be_had_is_bad_input(
    checkpoint, tmp_path, precision, calibration, message
):
    with pytest.raises(InputError, match=message):
        export(checkpoint, "s", "onnx", precision, tmp_path, options={"calibration": calibration})
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_scale_is_refused_when_it_is_exported(checkpoint, tmp_path, monkeypatch):
    """The file is to be the student of rounded weights exactly, not only nearly."""
    packed = onnx_precision.packed

    def slightly_off(matrix, precision):
        stored, scales = packed(matrix, precision)
        return stored, scales * 1.001

    monkeypatch.setattr(onnx_precision, "packed", slightly_off)
    with pytest.raises(RefusedError, match="it is not the student"):
        export(checkpoint, "small", "onnx", INT8, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_precision_that_is_too_coarse_for_a_student_is_refused(checkpoint, tmp_path, monkeypatch):
    narrow = {**TOLERANCES, "bf16": TOLERANCES["fp32"]}
    monkeypatch.setattr(exporting, "TOLERANCES", narrow)
    with pytest.raises(RefusedError, match=r"bf16 is too coarse for the student: .*forces"):
        export(checkpoint, "small", "onnx", "bf16", tmp_path)


def test_a_format_without_lower_precisions_says_so(checkpoint, tmp_path):
    with pytest.raises(InputError, match="onnx-molecule: is not written in 'fp16'"):
        export(checkpoint, "small", "onnx-molecule", "fp16", tmp_path)


def test_reference_energies_are_never_rounded(checkpoint, tmp_path):
    artifact = written(checkpoint, tmp_path, INT8)
    doubles = [
        onnx.numpy_helper.to_array(i)
        for i in onnx.load(artifact).graph.initializer
        if i.data_type == onnx.TensorProto.DOUBLE
    ]
    assert any(np.any(values == -1035.123456789012) for values in doubles)
