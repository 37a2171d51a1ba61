"""Folders of trainings: what may be begun, what may be taken up, and what is refused."""

import pytest
import torch

from mlffd.distill.run_folder import STATE_KEY, RunFolder
from mlffd.errors import InputError

IDENTITY = {"size": "tiny", "epochs": 3, "train": "sha256:1"}


def saved(path, content) -> RunFolder:
    path.mkdir()
    torch.save(content, path / "last.ckpt")
    return RunFolder(path, resume=True)


def test_a_new_training_gets_its_folder(tmp_path):
    run = RunFolder(tmp_path / "new.run")
    assert run.prepare(IDENTITY) is None
    assert list(run.path.iterdir()) == []


def test_a_training_that_would_be_overwritten_is_left_alone(tmp_path):
    run = saved(tmp_path / "old.run", {STATE_KEY: {"identity": IDENTITY}})
    with pytest.raises(InputError, match=r"last\.ckpt: a training is here already: --resume"):
        RunFolder(run.path).prepare(IDENTITY)


def test_the_same_training_is_taken_up(tmp_path):
    run = saved(tmp_path / "old.run", {STATE_KEY: {"identity": IDENTITY}})
    assert run.prepare(IDENTITY) == run.checkpoint


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"epochs": 4}, "epochs was 3, now it is 4"),
        ({"train": "sha256:2"}, "train was 'sha256:1', now it is 'sha256:2'"),
        ({"devices": 2}, "devices was None, now it is 2"),
    ],
)
def test_another_recipe_or_other_data_are_refused_and_named(tmp_path, change, complaint):
    run = saved(tmp_path / "old.run", {STATE_KEY: {"identity": IDENTITY}})
    with pytest.raises(InputError, match=complaint):
        run.prepare({**IDENTITY, **change})


@pytest.mark.parametrize("content", [{}, {"weights": torch.ones(1)}, {STATE_KEY: {}}, [1]])
def test_a_file_that_is_no_training_is_refused(tmp_path, content):
    run = saved(tmp_path / "old.run", content)
    with pytest.raises(InputError, match=r"last\.ckpt: not a checkpoint of a training by mlffd"):
        run.prepare(IDENTITY)


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(InputError, match=r"last\.ckpt: not found, so there is nothing to resume"):
        RunFolder(tmp_path / "absent.run", resume=True).prepare(IDENTITY)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write here: Not a directory"):
        RunFolder(tmp_path / "file" / "new.run").prepare(IDENTITY)
    with pytest.raises(InputError, match="cannot write here: No such file"):
        RunFolder(tmp_path / "absent" / "new.run").prepare(IDENTITY)
