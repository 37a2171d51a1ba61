"""Lightning's trainer, set up to be quiet, exact and resumable."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mlffd.distill.run_folder import RunFolder
from mlffd.errors import InputError
from mlffd.runtimes.eager import available_device

if TYPE_CHECKING:
    from mlffd.distill.lightning_module import Distillation


@dataclass(frozen=True)
class Hardware:
    """Where to train.

    Attributes:
        device: ``cpu`` or ``cuda``.
        devices: how many of them, or how many processes on the CPU.
        strategy: Lightning's name for how they work together.
    """

    device: str = "cpu"
    devices: int = 1
    strategy: str = "auto"

    def trainer_arguments(self) -> dict[str, Any]:
        """What Lightning's `Trainer` is to be called with.

        Raises:
            InputError: the device is not there, or the strategy is one that does not fit.
        """
        if self.device not in ("cpu", "cuda"):
            raise InputError(f"device {self.device!r}: expected cpu or cuda")
        available_device(self.device)
        if self.device == "cuda" and self.devices > torch.cuda.device_count():
            raise InputError(
                f"devices: {self.devices} asked for, {torch.cuda.device_count()} are here"
            )
        strategy = self.strategy
        if "spawn" in strategy or "fork" in strategy or "notebook" in strategy:
            raise InputError(
                f"strategy {strategy!r}: its processes cannot give back what they learnt;"
                " expected auto, ddp or another that starts the program once per process"
            )
        if strategy == "auto" and self.devices > 1:
            strategy = "ddp"  # in a notebook, Lightning would choose one of those above
        return {
            "accelerator": "gpu" if self.device == "cuda" else "cpu",
            "devices": self.devices,
            "strategy": strategy,
        }


def fit(
    training: "Distillation",
    hardware: Hardware,
    *,
    run: RunFolder | None,
    resumed: object,
    on_step: Callable[[int, int], None] | None,
) -> None:
    """Train until the last epoch, or until the time is over.

    Args:
        training: what to train; holds the results.
        hardware: where.
        run: where to save; None: nowhere.
        resumed: the checkpoint to go on from; None: begin.
        on_step: see `mlffd.distill.train.train_student`.

    Raises:
        InputError: the hardware is not there, or training diverged.
        KeyboardInterrupt: the user wants it to end.
    """
    from lightning.pytorch import Trainer
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    from mlffd.distill.callbacks import AtomicFiles, Report, SaveLast

    callbacks: list[Any] = []
    if run is not None:
        callbacks.append(
            SaveLast(
                run.checkpoint, run.table, minutes=run.save_minutes, max_minutes=run.max_minutes
            )
        )
    if on_step is not None:
        callbacks.append(Report(on_step))
    with _quiet(), _exact():
        try:
            trainer = Trainer(
                **hardware.trainer_arguments(),
                max_epochs=training.epochs,
                precision="32-true",
                # On the CPU everything is deterministic anyway, and the switch costs time.
                deterministic=hardware.device == "cuda",
                callbacks=callbacks,
                plugins=[AtomicFiles()],
                enable_checkpointing=run is not None,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
        except (MisconfigurationException, ValueError) as error:
            raise InputError(f"strategy {hardware.strategy!r}: {error}") from error
        try:
            trainer.fit(training, ckpt_path=resumed, weights_only=True)
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning from announcing itself, the hardware and its tips."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # What Lightning makes of torch 2.13 is its own concern.
            warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec", FutureWarning)
            # So is what its compiler makes of its own functions.
            warnings.filterwarnings("ignore", "`torch._prims_common.check`", FutureWarning)
            # Of a matrix with one row; it matters not.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view", UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _exact() -> Iterator[None]:
    """Multiply float32 as float32, not as TF32; and leave the switches as they were."""
    precision = torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic)
