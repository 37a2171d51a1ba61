"""Saving a training while it runs, and stopping it in time.

Imports Lightning: import this module only where that is known to be installed.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mlffd.distill.history import write_csv
from mlffd.distill.lightning_module import Distillation
from mlffd.files import write_atomically


class AtomicFiles(TorchCheckpointIO):
    """Checkpoints that are whole or not there: Lightning's own may be halves after a kill."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: object = None,  # noqa: ARG002
    ) -> None:
        """See Lightning's `CheckpointIO`."""
        write_atomically(Path(path), lambda aside: _write(aside, checkpoint))


class SaveLast(Checkpoint):
    """Keeps ``last.ckpt`` and the learning curve up to date: after epochs and every few minutes.

    Args:
        checkpoint: the file to write.
        table: where the learning curve goes, as CSV.
        minutes: from one save to the next within an epoch.
        max_minutes: after which to save and stop; None: never.
    """

    def __init__(
        self, checkpoint: Path, table: Path, *, minutes: float, max_minutes: float | None
    ) -> None:
        self._checkpoint = checkpoint
        self._table = table
        self._minutes = minutes
        self._max_minutes = max_minutes
        self._started = self._saved = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: Distillation) -> None:  # noqa: ARG002
        """Start the clock."""
        self._started = self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Distillation, *_: object) -> None:
        """Save, or stop, if it is time; the end of an epoch has a save of its own."""
        if pl_module.between_epochs:
            return
        now = time.monotonic()
        stop = self._max_minutes is not None and now - self._started >= 60 * self._max_minutes
        save = now - self._saved >= 60 * self._minutes
        # Clocks differ, and all processes must come to the save, or none.
        save, stop = trainer.strategy.broadcast((save or stop, stop))
        if save:
            self._save(trainer)
        if stop:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Distillation) -> None:
        """Save after a complete epoch, and stop if it is time."""
        if not pl_module.between_epochs:  # stopped within it, and saved already
            return
        self._save(trainer)
        if trainer.is_global_zero:
            write_csv(self._table, pl_module.history)
        minutes = (time.monotonic() - self._started) / 60
        if trainer.strategy.broadcast(
            self._max_minutes is not None and minutes >= self._max_minutes
        ):
            trainer.should_stop = True

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self._checkpoint)
        self._saved = time.monotonic()


class Report(Callback):
    """Tells how many steps are done of how many, in the first process.

    Args:
        on_step: called before the first step and after every one.
    """

    def __init__(self, on_step: Callable[[int, int], None]) -> None:
        self._on_step = on_step

    def on_train_start(self, trainer: Trainer, pl_module: Distillation) -> None:
        """Tell how many are done already."""
        self._tell(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Distillation, *_: object) -> None:
        """Tell that one more is done."""
        self._tell(trainer, pl_module)

    def _tell(self, trainer: Trainer, training: Distillation) -> None:
        if trainer.is_global_zero:
            self._on_step(training.steps, training.total_steps)


def _write(path: Path, checkpoint: dict[str, Any]) -> None:
    # Through a stream: given a path, torch would put the temporary file's name into the archive.
    with path.open("wb") as stream:
        torch.save(checkpoint, stream)
