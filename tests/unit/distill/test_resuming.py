"""A training that is killed or stopped goes on as if nothing had happened, bit for bit."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_samples import CELLS, TRAIN, VALIDATION, short

from mlffd.checkpoints import load_checkpoint, read_checkpoint
from mlffd.checkpoints.fingerprint import fingerprint
from mlffd.distill.run_folder import RunFolder
from mlffd.distill.train import Trained, UnfinishedError, train_student
from mlffd.errors import InputError

pytest.importorskip("lightning.pytorch", reason="training needs Lightning")

#: Three epochs of four steps, validated after the first and the last.
RECIPE = short(epochs=3, validate_every=2)
STEPS = 12


class KilledError(Exception):
    """What ends a training here in place of a signal."""


def train(run: RunFolder | None, on_step=None) -> Trained:
    return train_student(
        TRAIN + CELLS,
        VALIDATION,
        size="ultra_tiny",
        recipe=RECIPE,
        run=run,
        fingerprints={"train": "sha256:1"},
        on_step=on_step,
    )


@pytest.fixture(scope="module")
def undisturbed() -> Trained:
    return train(None)


def same(trained: Trained, expected: Trained) -> bool:
    without_time = [
        [(e.number, e.loss, e.learning_rate, e.validation) for e in t.history]
        for t in (trained, expected)
    ]
    weights = [fingerprint(t.student.state_dict()) for t in (trained, expected)]
    return (
        weights[0] == weights[1]
        and without_time[0] == without_time[1]
        and trained.best.number == expected.best.number
    )


def killed_at(step: int):
    def on_step(done: int, total: int) -> None:
        assert total == STEPS
        if done == step:
            raise KilledError

    return on_step


@pytest.mark.parametrize("save_minutes", [0.0, 5.0], ids=["every-step", "every-epoch"])
@pytest.mark.parametrize("step", [5, 8, 11])
def test_a_killed_training_gives_the_same_weights_when_taken_up(
    tmp_path, undisturbed, step, save_minutes
):
    folder = tmp_path / "student.run"
    with pytest.raises(KilledError):
        train(RunFolder(folder, save_minutes=save_minutes), killed_at(step))
    first_steps = []
    again = train(RunFolder(folder, resume=True), lambda done, total: first_steps.append(done))
    # Saved after each step, it loses the one that it died in; else it goes back to an epoch's end.
    assert first_steps[0] == (4 * ((step - 1) // 4) if save_minutes else step - 1)
    assert same(again, undisturbed)
    rows = (folder / "epochs.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "1", "2", "3"]


def test_stopping_by_time_again_and_again_changes_nothing(tmp_path, undisturbed):
    folder = tmp_path / "student.run"
    done, trained = [], None
    for attempt in range(STEPS):
        try:
            trained = train(RunFolder(folder, resume=attempt > 0, max_minutes=0.0))
            break
        except UnfinishedError as stopped:
            done.append(str(stopped))
    assert done[0] == "0 of 3 epochs are done"
    assert done[-1] == "2 of 3 epochs are done"
    assert len(done) == STEPS - 1
    assert same(trained, undisturbed)


def test_a_finished_training_can_be_taken_up_once_more(tmp_path, undisturbed):
    folder = tmp_path / "student.run"
    train(RunFolder(folder))
    assert same(train(RunFolder(folder, resume=True)), undisturbed)


def test_another_recipe_is_not_taken_up(tmp_path):
    folder = tmp_path / "student.run"
    with pytest.raises(UnfinishedError):
        train(RunFolder(folder, max_minutes=0.0))
    with pytest.raises(
        InputError, match=rf"learning_rate was {RECIPE.learning_rate}, now it is 0\.001"
    ):
        train_student(
            TRAIN + CELLS,
            VALIDATION,
            size="ultra_tiny",
            recipe=short(epochs=3, validate_every=2, learning_rate=0.001),
            run=RunFolder(folder, resume=True),
            fingerprints={"train": "sha256:1"},
        )


def test_its_checkpoint_is_read_like_any_other_and_holds_the_average(tmp_path, undisturbed):
    folder = tmp_path / "student.run"
    trained = train(RunFolder(folder))
    assert trained.best.number == RECIPE.epochs, "the last epoch is the best of this training"
    checkpoint = read_checkpoint(folder / "last.ckpt")
    assert checkpoint.layout == "lightning"
    assert checkpoint.config == trained.student.config
    assert checkpoint.revision == 2
    assert checkpoint.notes == (
        "weights taken from 'state_dict'",
        "prefix 'model.' removed from all 28 names",
    )
    assert checkpoint.fingerprint == fingerprint(trained.student.state_dict())
    state = torch.load(folder / "last.ckpt", weights_only=True)["distillation"]
    assert fingerprint(state["weights"]) != checkpoint.fingerprint  # those in training
    loaded = load_checkpoint(folder / "last.ckpt")
    assert torch.equal(loaded.embedding.weight, trained.student.embedding.weight)


SCRIPT = """
import os, signal, sys
from pathlib import Path
import test_resuming as t
from mlffd.distill.run_folder import RunFolder

def on_step(done, total):
    if done == 7:
        os.kill(os.getpid(), signal.SIGKILL)

t.torch.set_num_threads(1)
t.train(RunFolder(Path(sys.argv[1]), save_minutes=0.0), on_step)
"""


def test_a_process_ended_by_sigkill_can_be_taken_up(tmp_path, undisturbed):
    folder = tmp_path / "student.run"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert same(train(RunFolder(folder, resume=True)), undisturbed)
