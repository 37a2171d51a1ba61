"""`mlffd export`: exit codes, what it prints, and what it leaves behind."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mlffd_command import assert_refused

from mlffd.export import program
from mlffd.export.formats import FORMATS, Written
from mlffd.export.manifest import manifest_path, read_manifest
from mlffd.students import Student

ARTIFACT = "small-torch-export-fp32.pt2"


def write_another(student: Student, path: Path) -> Written:
    """An exporter that is wrong."""
    with torch.no_grad():
        student.get_parameter("energy_head.4.bias").add_(1e-3)
    return program.write(student, path)


def write_and_be_stopped(student: Student, path: Path) -> Written:
    program.write(student, path)
    raise KeyboardInterrupt


def stumble(student: Student, path: Path) -> Written:
    raise ZeroDivisionError("the exporter stumbled")


@pytest.fixture
def broken(monkeypatch):
    """A function that replaces the exporter of a format by one of this module."""

    def breaks(writer: str) -> None:
        entry = replace(FORMATS["torch-export"], writer=f"test_export_commands:{writer}")
        monkeypatch.setitem(FORMATS, "torch-export", entry)

    return breaks


def export(mlffd, *arguments: object):
    return mlffd("export", "small", "--format", "torch-export", *arguments)


def test_a_student_of_the_settings_is_exported_and_its_deviations_are_printed(project, mlffd):
    before = project.files()
    result = export(mlffd)
    assert result.code == 0
    artifact = project.folder / "exports" / ARTIFACT
    assert project.files() - before == {f"exports/{ARTIFACT}", f"exports/{ARTIFACT}.json"}
    manifest = read_manifest(artifact)
    line = next(line for line in result.out.splitlines() if line.startswith(ARTIFACT))
    assert f" {manifest.size / 1024:,.0f} " in line
    for value in (manifest.measured.energy_per_atom, manifest.measured.forces):
        assert f" {value:.1e} " in line
    assert "1 written" in result.out


def test_a_checkpoint_is_exported_under_its_own_name(project, mlffd):
    (project.folder / "out").mkdir()
    project.settings.unlink()
    asked = ("--format", "torch-export", "--precision", "fp64", "-o", "out")
    assert mlffd("export", "small.pt", *asked).code == 0
    assert read_manifest(project.folder / "out" / "small-torch-export-fp64.pt2").precision == "fp64"


def test_a_wrong_export_ends_with_1_and_one_line_and_leaves_nothing(project, mlffd, broken):
    (project.folder / "out").mkdir()
    before = project.files()
    broken("write_another")
    result = export(mlffd, "-o", "out")
    assert result.code == 1
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith(f"mlffd: error: {ARTIFACT}: refused: it is not the student: ")
    assert project.files() == before
    assert list((project.folder / "out").iterdir()) == []


def test_an_interrupt_ends_with_130_and_leaves_nothing(project, mlffd, broken):
    (project.folder / "out").mkdir()
    broken("write_and_be_stopped")
    result = export(mlffd, "-o", "out")
    assert (result.code, result.out) == (130, "")
    assert "stopped" in result.err
    assert list((project.folder / "out").iterdir()) == []


def test_an_exporter_that_stumbles_ends_with_3(project, mlffd, broken):
    broken("stumble")
    result = export(mlffd)
    assert result.code == 3
    assert "the exporter stumbled" in result.err


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["small", "--format", "onxx"], ["format 'onxx' is unknown", "onnx, onnx-molecule"]),
        (["small", "--format", "torch-export", "--precision", "fp16"], ["'fp16'", "fp32, fp64"]),
        (["small", "--format", "torch-export", "--opset", "18"], ["no option 'opset'"]),
        (["small", "--format", "torch-export", "-o", "absent"], ["absent", "does not exist"]),
        (["small", "--format", "torch-export", "-o", "small.pt"], ["small.pt: cannot write here"]),
        (["nobody", "--format", "torch-export"], ["nobody", "neither a file nor a name"]),
        (["data", "--format", "torch-export"], ["data.h5: a data set, expected a student"]),
        (["small"], ["expected a student and --format, or --all"]),
        (["small", "--format", "torch-export", "--jobs", "2"], ["--jobs: expected with --all"]),
        (["--all"], ["mlffd.toml: exports: no format is listed"]),
        (["--all", "small"], ["--all: takes no student"]),
        (["--all", "--opset", "20"], ["--all: takes no student, --format"]),
    ],
)
def test_bad_usage_is_one_line_and_writes_nothing(project, mlffd, arguments, fragments):
    before = project.files()
    assert_refused(mlffd("export", *arguments), *fragments)
    assert project.files() == before


def test_without_the_extra_it_says_what_to_install(project, mlffd, monkeypatch):
    for name in ("onnx", "onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None)
    result = mlffd("export", "small", "--format", "onnx")
    assert_refused(result, "is not installed", "mlffd[export]")


def test_all_makes_what_the_settings_say_once(project, mlffd):
    with project.settings.open("a") as file:
        file.write('[exports]\ntorch-export = ["fp32"]\nfolder = "made"\n')
        file.write('[exports.unsupported]\naoti-bf16 = "not tried"\n')
    first = mlffd("export", "--all", "--jobs", 1)
    assert first.code == 0, first
    assert "1 written, 1 unsupported" in first.out
    assert "small-aoti-bf16: not tried" in first.out
    artifact = project.folder / "made" / ARTIFACT
    assert manifest_path(artifact).exists()

    assert "1 up to date, 1 unsupported" in mlffd("export", "--all").out

    assert mlffd("export", "--all", "-o", "absent/made").code == 2
