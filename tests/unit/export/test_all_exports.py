"""Every configured export: what is planned, done, left alone, and what a failure means."""

from collections.abc import Iterator
from pathlib import Path

import pipeline_samples
import pytest
from pipeline_samples import PLAIN, save_student

from mlffd.config import Settings, load_settings
from mlffd.errors import InputError, MissingPackageError
from mlffd.export.all_exports import Outcome, State, exit_code, export_all, plan
from mlffd.export.formats import FORMATS
from mlffd.export.manifest import read_manifest
from mlffd.processes import Ended, Failure, run_apart

A = "[students.a]\ncheckpoint = 'a.pt'\n"
B = "[students.b]\ncheckpoint = 'b.pt'\n"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """A quick format, and no processes, each of which would import PyTorch."""
    monkeypatch.setitem(FORMATS, PLAIN.name, PLAIN)
    monkeypatch.setattr("mlffd.export.all_exports.run_apart", run_here)


def run_here(worker, payloads, *, jobs: int) -> Iterator[Ended]:
    """Like `run_apart`, one after another in this process."""
    for number, payload in enumerate(payloads):
        try:
            worker(payload)
        except Exception as error:
            yield Ended(number, 1.0, Failure.from_error(error))
        else:
            yield Ended(number, 1.0, None)


@pytest.fixture(scope="module")
def students(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("students")
    save_student(folder / "a.pt")
    return folder


def settings(folder: Path, text: str, students: str = A) -> Settings:
    path = folder / "mlffd.toml"
    path.write_text(f"{students}[exports]\n{text}", encoding="utf-8")
    return load_settings(path)


def test_every_student_is_planned_in_every_format_and_precision_and_what_is_unsupported(tmp_path):
    tasks = plan(
        settings(
            tmp_path,
            """
            onnx = ["fp32"]
            torchscript = ["fp64", "fp32"]
            [exports.unsupported]
            torchscript-fp32 = "no"
            aoti-int8-static = "never"
            """,
            A + B,
        )
    )
    names = ["onnx-fp32", "torchscript-fp64", "torchscript-fp32", "aoti-int8-static"]
    assert [task.name for task in tasks] == [f"{s}-{name}" for s in "ab" for name in names]
    assert [task.unsupported for task in tasks[:4]] == [None, None, "no", "never"]
    assert tasks[-1].checkpoint == tmp_path.resolve() / "b.pt"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "onxx = ['fp32']",
            r"exports\.onxx: unknown key; allowed here: budget, folder, unsupported, onnx",
        ),
        ("onnx = ['fp31']", r"exports\.onnx: precision 'fp31' is unknown, expected one of fp32"),
        ("folder = 'x'", "exports: no format is listed"),
        (
            "onnx = ['fp32']\n[exports.unsupported]\naoti = 'no'",
            r"exports\.unsupported\.aoti: expected <format>-<precision>, formats onnx, ",
        ),
    ],
)
def test_settings_that_ask_for_what_there_is_not_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"mlffd\.toml: {message}"):
        plan(settings(tmp_path, text))


def test_settings_without_students_are_refused(tmp_path):
    with pytest.raises(InputError, match="students: there is none to export"):
        plan(settings(tmp_path, "onnx = ['fp32']", students=""))


def run(
    folder: Path,
    students: Path,
    text: str,
    worker=pipeline_samples.export_plainly,
    named: str = A,
    **options,
) -> list[Outcome]:
    tasks = plan(settings(students, text, named))
    return export_all(tasks, folder, jobs=2, worker=worker, **options)


def states(outcomes: list[Outcome]) -> list[State]:
    return [outcome.state for outcome in outcomes]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".json")


def test_what_is_up_to_date_is_left_alone_and_what_is_stale_is_exported_again(tmp_path):
    folder, text = tmp_path / "exports", 'torchscript = ["fp32"]'
    for seed, name in enumerate("ab"):
        save_student(tmp_path / f"{name}.pt", seed)
    seen: list[Outcome] = []
    first = run(folder, tmp_path, text, named=A + B, on_done=seen.append)
    assert states(first) == [State.WRITTEN, State.WRITTEN]
    assert exit_code(first) == 0
    assert seen == first
    assert names(folder) == ["a-torchscript-fp32.pt", "b-torchscript-fp32.pt"]
    written = first[0].artifact.stat().st_mtime_ns

    retrained = save_student(tmp_path / "b.pt", seed=5)
    again = run(folder, tmp_path, text, named=A + B)

    assert states(again) == [State.UP_TO_DATE, State.WRITTEN]
    assert again[0].artifact.stat().st_mtime_ns == written
    assert again[1].message.startswith("made with weights sha256:")
    assert read_manifest(again[1].artifact).weights == retrained.fingerprint


def test_a_failure_stops_nothing_else_and_shows_in_the_exit_code(tmp_path, students, capfd):
    outcomes = run(
        tmp_path / "exports",
        students,
        'torchscript = ["fp32", "fp64", "bf16"]',
        pipeline_samples.export_all_but_fp32,
    )
    assert states(outcomes) == [State.FAILED, State.WRITTEN, State.FAILED]
    assert outcomes[0].message == "ZeroDivisionError: the exporter stumbled"
    assert "is not written in 'bf16'" in outcomes[2].message
    assert [outcome.exit_code for outcome in outcomes] == [3, 0, 2]
    assert exit_code(outcomes) == 3
    assert names(tmp_path / "exports") == ["a-torchscript-fp64.pt"]


def test_a_wrong_file_is_not_there_and_ends_with_1(tmp_path, students):
    outcomes = run(
        tmp_path / "exports",
        students,
        'torchscript = ["fp32"]\n[exports.unsupported]\naoti-fp16 = "no"',
        pipeline_samples.export_spoilt,
    )
    assert states(outcomes) == [State.FAILED, State.UNSUPPORTED]
    assert "a-torchscript-fp32.pt: refused: it is not the student" in outcomes[0].message
    assert exit_code(outcomes) == 1
    assert names(tmp_path / "exports") == []


def test_a_declaration_that_is_out_of_date_fails(tmp_path, students):
    text = 'torchscript = ["bf16"]\n[exports.unsupported]\ntorchscript-fp32 = "slow"'
    outcomes = run(tmp_path / "exports", students, text)
    assert states(outcomes) == [State.FAILED, State.FAILED]
    assert outcomes[1].message == "works, but is declared as unsupported: slow"
    assert outcomes[1].exit_code == 1
    assert names(tmp_path / "exports") == []


def test_a_missing_package_is_not_what_was_declared(tmp_path, students, monkeypatch):
    def miss(*_: object) -> None:
        raise MissingPackageError("onnx is not installed")

    monkeypatch.setattr("mlffd.export.all_exports.reason_to_export", miss)
    text = 'torchscript = ["fp32"]\n[exports.unsupported]\ntorchscript-fp64 = "no"'
    outcomes = run(tmp_path / "exports", students, text)
    assert states(outcomes) == [State.FAILED] * 2
    assert exit_code(outcomes) == 2


def test_a_checkpoint_that_cannot_be_read_fails_alone(tmp_path):
    save_student(tmp_path / "a.pt")
    (tmp_path / "b.pt").write_text("nothing")
    outcomes = run(tmp_path / "exports", tmp_path, 'torchscript = ["fp32"]', named=A + B)
    assert states(outcomes) == [State.WRITTEN, State.FAILED]
    assert "b.pt: expected a checkpoint" in outcomes[1].message


def test_an_interrupt_of_processes_leaves_what_is_whole(tmp_path, students, monkeypatch):
    monkeypatch.setattr("mlffd.export.all_exports.run_apart", run_apart)

    def interrupt(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "exports"
    with pytest.raises(KeyboardInterrupt):
        run(folder, students, 'torchscript = ["fp32", "fp64"]', on_done=interrupt)
    (artifact,) = names(folder)
    assert read_manifest(folder / artifact).size > 0
    assert len(list(folder.iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, students):
    with pytest.raises(InputError, match="exports: cannot be made: No such file"):
        run(tmp_path / "absent" / "exports", students, 'torchscript = ["fp32"]')
