"""An export is verified before it is put in place; a wrong one is never there."""

from pathlib import Path

import pipeline_samples
import pytest
import torch
from pipeline_samples import PLAIN, save_student

from mlffd.errors import InputError, MlffdError, RefusedError
from mlffd.export.exporting import export
from mlffd.export.formats import FORMATS
from mlffd.export.manifest import read_manifest, require_intact
from mlffd.export.specs import input_specs


@pytest.fixture(autouse=True)
def _quick_format(monkeypatch):
    monkeypatch.setitem(FORMATS, PLAIN.name, PLAIN)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_student(tmp_path_factory.mktemp("student") / "small.pt")


def run(checkpoint, folder: Path, precision: str = "fp32", **options: object) -> Path:
    return export(checkpoint, "small", PLAIN.name, precision, folder, options=options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_the_manifest_tells_what_the_file_is_and_how_well_it_was_verified(
    checkpoint, tmp_path, precision
):
    artifact = run(checkpoint, tmp_path, precision)

    assert artifact == tmp_path / f"small-torchscript-{precision}.pt"
    assert names(tmp_path) == [artifact.name, f"{artifact.name}.json"]
    manifest = read_manifest(artifact)
    require_intact(artifact, manifest)
    assert (manifest.student, manifest.format) == ("small", PLAIN.name)
    assert (manifest.weights, manifest.revision) == (checkpoint.fingerprint, 2)
    assert (manifest.config, manifest.elements) == (checkpoint.config, ("H", "C", "O"))
    assert (manifest.cutoff, manifest.honours_cells, manifest.neighbours) == (5.0, True, "input")
    assert manifest.versions["torch"] == torch.__version__
    assert manifest.options == {"opset": 18, "spoil": None, "found out": "by itself"}
    dtype = {"fp32": torch.float32, "fp64": torch.float64}[precision]
    assert manifest.inputs == input_specs(checkpoint.student(dtype=dtype))
    measured, tolerance = manifest.measured, manifest.tolerance
    assert measured.forces < tolerance.forces
    assert (measured.forces > 0) is (precision == "fp32")
    assert measured.virial is not None
    assert f'"{artifact.name}"' in manifest.snippet
    assert manifest.created["warnings"] == "torch.export: took a while"
    assert manifest.created["source"].startswith("sha256:")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("change_weights", r"is not the student: .*energy_per_atom 0\.001 eV/atom \(tolerance"),
        ("change_forces", r"is not the student: .*; and \d+ more cases"),
        ("truncate", "its runtime does not take it: .*Invalid argument"),
        ("warn_of_duplicates", "sums lose contributions: UserWarning: no support"),
    ],
)
def test_a_wrong_file_is_refused_and_the_one_before_stays(checkpoint, tmp_path, spoil, message):
    before = read_manifest(run(checkpoint, tmp_path))

    with pytest.raises(RefusedError, match=rf"^small-torchscript-fp32\.pt: refused: .*{message}"):
        run(checkpoint, tmp_path, spoil=getattr(pipeline_samples, spoil))

    assert names(tmp_path) == ["small-torchscript-fp32.pt", "small-torchscript-fp32.pt.json"]
    require_intact(tmp_path / "small-torchscript-fp32.pt", before)


def test_a_refused_file_leaves_nothing(checkpoint, tmp_path):
    with pytest.raises(RefusedError):
        run(checkpoint, tmp_path, spoil=pipeline_samples.change_weights)
    assert names(tmp_path) == []


def test_an_interrupt_leaves_nothing(checkpoint, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, tmp_path, spoil=pipeline_samples.interrupt)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_name": "onxx"}, "format 'onxx' is unknown, expected one of onnx, "),
        (
            {"precision": "fp16"},
            "torchscript: is not written in 'fp16', expected one of fp32, fp64",
        ),
        ({"options": {"opst": 18}}, "torchscript: has no option 'opst', expected one of opset"),
        ({"name": "../small"}, r"student '\.\./small': expected a name that a file can have"),
        ({"name": "a\nb"}, "expected a name that a file can have"),
        ({"name": ""}, "expected a name that a file can have"),
    ],
)
def test_what_cannot_be_had_is_bad_input(checkpoint, tmp_path, changes, message):
    asked = {"name": "small", "format_name": PLAIN.name, "precision": "fp32", **changes}
    with pytest.raises(InputError, match=message):
        export(checkpoint, folder=tmp_path, **asked)
    assert names(tmp_path) == []


def test_a_folder_that_is_not_there_is_bad_input(checkpoint, tmp_path):
    with pytest.raises(InputError, match="absent: the folder does not exist"):
        run(checkpoint, tmp_path / "absent")


def test_a_missing_package_is_no_verdict_on_the_file(checkpoint, tmp_path, monkeypatch):
    def import_it(*_: object, **__: object) -> None:
        from mlffd.optional import import_optional

        import_optional("not_there_at_all", extra="export")

    monkeypatch.setattr(pipeline_samples, "Plain", import_it)
    with pytest.raises(InputError, match=r"not_there_at_all is not installed.*mlffd\[export\]"):
        run(checkpoint, tmp_path)
    assert names(tmp_path) == []


def test_a_student_with_weights_that_are_no_numbers_is_refused(tmp_path):
    checkpoint = save_student(tmp_path / "small.pt")
    checkpoint.weights["energy_head.4.bias"].fill_(torch.nan)
    (tmp_path / "out").mkdir()
    with pytest.raises(MlffdError, match="not the student"):
        run(checkpoint, tmp_path / "out")
    assert names(tmp_path / "out") == []
