"""The command that trains a student: what it writes and says, and what it answers to bad input."""

from pathlib import Path

import pytest
import torch
import typer
from training_samples import TRAIN, VALIDATION

from mlffd.checkpoints import read_checkpoint
from mlffd.distill import compiled_step
from mlffd.distill.commands import distill
from mlffd.errors import InputError
from mlffd.structures.dataset import write_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_dataset(folder / "train.h5", TRAIN, metadata={})
    write_dataset(folder / "validation.h5", VALIDATION, metadata={})
    return folder


def test_a_checkpoint_and_a_learning_curve_are_written(data, tmp_path, capsys):
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    target = tmp_path / "student.pt"
    distill(data=data, output=target, epochs=2, seed=7)
    recipe = read_checkpoint(target).training["recipe"]
    assert (recipe["epochs"], recipe["seed"]) == (2, 7)
    assert {path.name for path in (tmp_path / "student.run").iterdir()} == {
        "last.ckpt",
        "epochs.csv",
    }
    said = capsys.readouterr()
    assert "validation: energy_mae_per_atom" in said.out
    assert "best epoch 2; sha256:" in said.out
    assert "epoch 1 of 2: loss" in said.err


def test_what_is_compiled_is_recorded(data, tmp_path, monkeypatch):
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    # Tracing and compiling take minutes.
    monkeypatch.setattr(compiled_step, "make_fx", lambda function, **_: lambda *example: function)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    for compiled in (False, True):
        target = tmp_path / f"{compiled}.pt"
        distill(data=data, output=target, epochs=1, compiled=compiled)
        assert read_checkpoint(target).training["recipe"]["compiled"] is compiled


def test_a_stopped_training_says_how_to_go_on_and_does(data, tmp_path, capsys):
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    target = tmp_path / "student.pt"
    with pytest.raises(typer.Exit) as stopped:
        distill(data=data, output=target, epochs=2, max_minutes=0.0)
    assert stopped.value.exit_code == 3
    assert "1 of 2 epochs are done; the same command with --resume goes on" in (
        capsys.readouterr().err
    )
    assert not target.exists()
    distill(data=data, output=target, epochs=2, resume=True)
    assert read_checkpoint(target).training["recipe"]["epochs"] == 2


@pytest.mark.parametrize(
    ("saved", "told"),
    [(True, "goes on from the last save"), (False, "has nothing to go on from yet")],
)
def test_an_interrupt_says_whether_it_can_be_gone_on_from(
    data, tmp_path, monkeypatch, capsys, saved, told
):
    def interrupt(*_: object, **__: object) -> None:
        if saved:
            (tmp_path / "student.run").mkdir()
            (tmp_path / "student.run" / "last.ckpt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("mlffd.distill.shipping.distill_checkpoint", interrupt)
    with pytest.raises(typer.Exit) as stopped:
        distill(data=data, output=tmp_path / "student.pt")
    assert stopped.value.exit_code == 130
    assert f"stopped; the same command with --resume {told}" in capsys.readouterr().err


def test_a_training_is_not_overwritten(data, tmp_path):
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    distill(data=data, output=tmp_path / "student.pt", epochs=1)
    with pytest.raises(InputError, match="a training is here already: --resume goes on with it"):
        distill(data=data, output=tmp_path / "student.pt", epochs=1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"size": "giant"}, "size 'giant' is unknown"),
        ({"data": Path("absent")}, "absent: expected a folder with train.h5 and validation.h5"),
        ({"device": "abacus"}, "device 'abacus': expected cpu or cuda"),
        ({"output": Path("/no/such/folder/student.pt")}, "--output: .*does not exist"),
        ({"output": Path()}, r"--output: \.: a folder, expected a file to write"),
        ({"output": Path("student.run")}, r"student\.run: \.run is the suffix of the folder"),
        ({"compiled": True, "devices": 2}, "--compile works on one device only"),
        ({"resume": True}, r"last\.ckpt: not found, so there is nothing to resume"),
    ],
)
def test_bad_input_is_refused(data, tmp_path, change, complaint):
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    arguments = {"data": data, "output": tmp_path / "student.pt", "epochs": 1, **change}
    with pytest.raises(InputError, match=complaint):
        distill(**arguments)
    assert not (tmp_path / "student.pt").exists()
