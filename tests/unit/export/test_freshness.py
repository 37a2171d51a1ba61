"""An export is needed unless what is there is what it would make."""

import json
import shutil
from pathlib import Path

import pytest
from pipeline_samples import PLAIN, save_student

from mlffd.export import freshness
from mlffd.export.exporting import Order, export
from mlffd.export.formats import FORMATS
from mlffd.export.freshness import reason_to_export
from mlffd.export.manifest import manifest_path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_student(tmp_path_factory.mktemp("student") / "small.pt")


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORMATS, PLAIN.name, PLAIN)
        folder = tmp_path_factory.mktemp("exports")
        return export(checkpoint, "small", PLAIN.name, "fp32", folder)


@pytest.fixture
def artifact(exported, tmp_path) -> Path:
    """A copy to change."""
    shutil.copytree(exported.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / exported.name


def reason(checkpoint, artifact: Path, **changes: object) -> str | None:
    order = {"name": "small", "format": PLAIN, "precision": "fp32", **changes}
    return reason_to_export(Order(checkpoint, **order), artifact.parent)


def test_what_was_just_exported_is_up_to_date(checkpoint, artifact):
    assert reason(checkpoint, artifact) is None
    assert reason(checkpoint, artifact, options={"opset": 18}) is None


def test_another_file_is_another_matter(checkpoint, artifact):
    assert "manifest of other-" in reason(checkpoint, artifact, name="other")
    assert "is missing" in reason(checkpoint, artifact, precision="fp64")


def test_a_student_that_was_trained_again_is_exported_again(artifact, tmp_path):
    retrained = save_student(tmp_path / "small.pt", seed=3)
    assert reason(retrained, artifact).startswith("made with weights sha256:")


def test_other_options_need_another_export(checkpoint, artifact):
    said = reason(checkpoint, artifact, options={"opset": 20})
    assert said.startswith("made with options {'opset': 18, ")


def test_a_changed_file_is_exported_again(checkpoint, artifact):
    artifact.write_bytes(artifact.read_bytes()[:-1] + b"!")
    assert "not the file that its manifest describes" in reason(checkpoint, artifact)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("versions", {"torch": "2.9.1"}, "made with torch 2.9.1, not 2."),
        ("versions", {"mlffd": "0.0.1"}, "made with mlffd 0.0.1, not "),
        ("format_version", 2, "not a manifest: format_version"),
        ("tolerance", {"energy_per_atom": 1, "forces": 1, "forces_rms": 1}, "made with tolerance"),
        ("created", {}, "made by other code of mlffd"),
    ],
)
def test_whatever_else_the_file_depends_on_is_compared(checkpoint, artifact, key, value, said):
    path = manifest_path(artifact)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    assert said in reason(checkpoint, artifact)


def test_a_change_of_the_exporters_code_needs_another_export(checkpoint, artifact, monkeypatch):
    monkeypatch.setattr(freshness, "source_fingerprint", lambda: "sha256:other")
    assert reason(checkpoint, artifact) == "made by other code of mlffd"
