"""The safetensors format: weights as an artifact, in float32 and in fewer bits."""

import pytest
import torch

from mlffd.checkpoints import fingerprint, read_checkpoint, save_checkpoint
from mlffd.checkpoints import safetensors_writing as writing
from mlffd.checkpoints.rounding import INT8, ROUNDINGS, rounded
from mlffd.errors import InputError, RefusedError
from mlffd.export.deviations import TOLERANCES, exceeding
from mlffd.export.exporting import export
from mlffd.export.formats import format_named
from mlffd.export.manifest import read_manifest
from mlffd.runtimes.opening import open_artifact
from mlffd.students import build

pytest.importorskip("safetensors", reason="safetensors is not installed")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(4)
    student = build("StudentForceField", {"hidden_dim": 32, "num_interactions": 1, "num_rbf": 4})
    with torch.no_grad():
        student.get_parameter("energy_head.4.weight").mul_(10.0)
    path = tmp_path_factory.mktemp("student") / "small.pt"
    save_checkpoint(path, student, elements=(1, 6, 8), training={"seed": 1})
    return read_checkpoint(path)


def test_full_precision_is_the_student(checkpoint, tmp_path):
    artifact = export(checkpoint, "small", "safetensors", "fp32", tmp_path)
    manifest = read_manifest(artifact)
    assert artifact.name == "small-safetensors-fp32.safetensors"
    assert not exceeding(manifest.measured, TOLERANCES["fp32"])
    assert manifest.has_virial
    potential = open_artifact(artifact)
    assert (potential.dtype, potential.has_stress) == (torch.float32, True)
    assert read_checkpoint(artifact).fingerprint == checkpoint.fingerprint == manifest.weights


@pytest.mark.parametrize("precision", ROUNDINGS)
def test_the_manifest_keeps_the_weights_that_were_exported(checkpoint, tmp_path, precision):
    artifact = export(checkpoint, "small", "safetensors", precision, tmp_path)
    manifest = read_manifest(artifact)
    assert manifest.weights == checkpoint.fingerprint
    left = read_checkpoint(artifact).fingerprint
    assert left == fingerprint(rounded(checkpoint.weights, precision)) != checkpoint.fingerprint
    assert exceeding(manifest.measured, TOLERANCES["fp32"])
    assert not exceeding(manifest.measured, TOLERANCES[precision])


def test_the_snippet_restores_the_weights_without_mlffd(checkpoint, tmp_path, monkeypatch):
    artifact = export(checkpoint, "small", "safetensors", INT8, tmp_path)
    snippet = read_manifest(artifact).snippet
    assert "mlffd" not in snippet
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(snippet, names)  # noqa: S102 - our own
    assert fingerprint(names["weights"]) == read_checkpoint(artifact).fingerprint


def test_another_rounding_than_the_one_that_is_meant_is_refused(checkpoint, tmp_path, monkeypatch):
    packed, rounds = writing.packed, writing.rounded

    def towards_zero(matrix, precision):
        stored, scales = packed(matrix, precision)
        return stored - stored.sign(), scales

    def as_it_is_stored(weights, precision):
        result = rounds(weights, precision)
        for name in result.keys() & {"embedding.weight"}:
            stored, scales = towards_zero(weights[name], precision)
            result[name] = stored.float() * scales[:, None]
        return result

    monkeypatch.setattr(
        writing, "packed", lambda m, p: (towards_zero if len(m) == 101 else packed)(m, p)
    )
    monkeypatch.setattr(writing, "rounded", as_it_is_stored)
    with pytest.raises(RefusedError, match="it is not the student"):
        export(checkpoint, "small", "safetensors", INT8, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_there_are_no_options_and_no_float64(checkpoint, tmp_path):
    with pytest.raises(InputError, match="has no option 'opset', expected one of none"):
        export(checkpoint, "small", "safetensors", "fp32", tmp_path, options={"opset": 18})
    with pytest.raises(InputError, match="is not written in 'fp64'"):
        export(checkpoint, "small", "safetensors", "fp64", tmp_path)
    assert format_named("safetensors").options({}, "fp16") == {}
