"""A manifest comes back as it was written, and a bad one is refused with the key that is wrong."""

import hashlib
import json

import pytest
import torch

from mlffd.errors import InputError
from mlffd.export.manifest import (
    LARGEST,
    Deviation,
    Manifest,
    TensorSpec,
    manifest_path,
    read_manifest,
    require_intact,
    sha256_of,
    write_manifest,
)

EXACT = Deviation(energy_per_atom=0.0, forces=0.0, forces_rms=0.0)


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "tiny-onnx-fp32.onnx"
    path.write_bytes(b"not a real model")
    return path


@pytest.fixture
def manifest(artifact):
    return Manifest(
        format="onnx",
        precision="fp32",
        student="tiny",
        architecture="StudentForceField",
        revision=2,
        config={"hidden_dim": 64, "cutoff": 5.0},
        weights="sha256:" + 64 * "0",
        cutoff=5.0,
        max_z=100,
        elements=("H", "O"),
        honours_cells=True,
        neighbours="input",
        inputs=(
            TensorSpec(
                name="numbers", dtype="int64", shape=("atoms",), unit="", meaning="Atomic numbers."
            ),
        ),
        outputs=(
            TensorSpec(
                name="forces", dtype="float32", shape=("atoms", 3), unit="eV/Å", meaning="Forces."
            ),
        ),
        versions={"torch": "2.13.0", "opset": "18"},
        size=artifact.stat().st_size,
        sha256=sha256_of(artifact),
        tolerance=EXACT,
        measured=EXACT,
        snippet="print('hello')",
        created={"time": "2026-01-01T00:00:00+00:00", "command": "mlffd export"},
    )


def test_what_is_written_is_read(artifact, manifest):
    write_manifest(artifact, manifest)

    assert read_manifest(artifact) == manifest
    assert manifest_path(artifact).name == "tiny-onnx-fp32.onnx.json"


def test_the_digest_is_that_of_ordinary_tools(artifact):
    assert sha256_of(artifact) == "sha256:" + hashlib.sha256(b"not a real model").hexdigest()


def test_the_artifact_that_was_written_is_intact(artifact, manifest):
    require_intact(artifact, manifest)


@pytest.mark.parametrize("content", [b"not a real modeL", b"not a real", b""])
def test_an_artifact_that_changed_is_refused(artifact, manifest, content):
    artifact.write_bytes(content)

    with pytest.raises(InputError, match="not the file that its manifest describes"):
        require_intact(artifact, manifest)


def test_an_artifact_that_is_gone_is_refused(artifact, manifest):
    artifact.unlink()

    with pytest.raises(InputError, match="cannot be read"):
        require_intact(artifact, manifest)


def test_a_missing_manifest_is_named(artifact):
    with pytest.raises(InputError, match=r"onnx\.json: the manifest of tiny-onnx-fp32\.onnx is"):
        read_manifest(artifact)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"weights": "md5:1234"}, "weights"),
        ({"cutoff": float("inf")}, "cutoff"),
        ({"format_version": 2}, "format_version"),
        ({"surprise": 1}, "surprise"),
        ({"measured": {"energy_per_atom": -1, "forces": 0, "forces_rms": 0}}, "energy_per_atom"),
        ({"measured": {"energy_per_atom": float("nan"), "forces": 0, "forces_rms": 0}}, "measured"),
    ],
)
def test_a_manifest_that_says_something_impossible_is_refused(artifact, manifest, change, key):
    data = json.loads(manifest.model_dump_json()) | change
    manifest_path(artifact).write_text(json.dumps(data))

    with pytest.raises(InputError, match=key):
        read_manifest(artifact)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"\\ud800"', "3"])
def test_what_is_no_manifest_is_refused(artifact, text):
    manifest_path(artifact).write_text(text)

    with pytest.raises(InputError, match=r"tiny-onnx-fp32\.onnx\.json: not"):
        read_manifest(artifact)


def test_a_huge_manifest_is_not_read(artifact):
    with manifest_path(artifact).open("wb") as stream:
        stream.truncate(LARGEST + 1)

    with pytest.raises(InputError, match="larger than"):
        read_manifest(artifact)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("fp64", torch.float64), ("int8-weights", torch.float32)],
)
def test_the_precision_says_what_the_positions_are(manifest, precision, dtype):
    assert manifest.model_copy(update={"precision": precision}).dtype is dtype
    assert not manifest.has_virial
