"""An artifact is opened by the runtime of its manifest, if it is the file that was exported."""

import pytest

from mlffd.errors import InputError
from mlffd.export.formats import FORMATS, Format
from mlffd.export.manifest import Deviation, Manifest, manifest_path, sha256_of, write_manifest
from mlffd.runtimes.opening import open_artifact

EXACT = Deviation(energy_per_atom=0, forces=0, forces_rms=0)


class Recorder:
    """A runtime that remembers how it was opened."""

    def __init__(self, path, manifest, *, device, threads):
        self.opened = (path, manifest.student, device, threads)


@pytest.fixture
def artifact(tmp_path, monkeypatch):
    monkeypatch.setitem(
        FORMATS, "own", Format("own", ".own", ("fp32",), "", f"{__name__}:Recorder")
    )
    path = tmp_path / "tiny.own"
    path.write_bytes(b"weights")
    write(path)
    return path


def write(path, name="own"):
    manifest = Manifest(
        format=name,
        precision="fp32",
        student="tiny",
        architecture="StudentForceField",
        revision=2,
        config={},
        weights="sha256:" + 64 * "0",
        cutoff=5.0,
        max_z=10,
        elements=None,
        honours_cells=True,
        neighbours="input",
        inputs=(),
        outputs=(),
        versions={},
        size=path.stat().st_size,
        sha256=sha256_of(path),
        tolerance=EXACT,
        measured=EXACT,
        snippet="",
        created={},
    )
    write_manifest(path, manifest)


def test_the_runtime_of_the_format_gets_path_manifest_device_and_threads(artifact):
    found = open_artifact(str(artifact), device="cuda:1", threads=2)
    assert found.opened == (artifact, "tiny", "cuda:1", 2)
    assert open_artifact(artifact).opened == (artifact, "tiny", "cpu", None)


def test_a_file_that_changed_since_its_export_is_refused_unless_it_is_trusted(artifact):
    artifact.write_bytes(b"weightz")
    with pytest.raises(InputError, match=r"tiny\.own: not the file that its manifest describes"):
        open_artifact(artifact)
    assert open_artifact(artifact, check_hash=False).opened[0] == artifact


def test_a_file_without_manifest_or_of_an_unknown_format_is_refused(artifact):
    write(artifact, name="other")
    with pytest.raises(InputError, match="format 'other' is unknown, expected one of onnx"):
        open_artifact(artifact)
    manifest_path(artifact).unlink()
    with pytest.raises(InputError, match=r"the manifest of tiny\.own is missing"):
        open_artifact(artifact)
