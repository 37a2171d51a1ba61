"""The command that trains a student.

Heavy imports (torch, Lightning) are inside it: help and bad usage answer at once.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mlffd.errors import InputError
from mlffd.files import require_writable

if TYPE_CHECKING:
    from mlffd.distill.history import Epoch

#: Of the folder with the state of the training, beside the checkpoint.
_RUN_SUFFIX = ".run"


def distill(
    *,
    data: Annotated[
        Path,
        typer.Option(
            help="A folder with train.h5 and validation.h5; conformers.h5, test.h5 and golden.h5"
            " are only reported on"
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write")],
    size: Annotated[str, typer.Option(help="original, tiny or ultra_tiny")] = "ultra_tiny",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the structures [default: by size]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was interrupted")
    ] = False,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after so long, to be resumed")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to train: cpu or cuda")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="How many of them train together")] = 1,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the training step: faster, needs a compiler")
    ] = False,
    strategy: Annotated[
        str, typer.Option(help="Lightning's name of how several devices work together")
    ] = "auto",
) -> None:
    """Train a student on labels and write its checkpoint, with metrics and provenance in it.

    While it runs, its state and learning curve are in a folder beside the checkpoint, called like
    it with .run at the end. Needs Lightning, the train extra of mlffd.
    """
    from mlffd.distill.recipe import RECIPES, require_size
    from mlffd.distill.run_folder import RunFolder
    from mlffd.distill.shipping import distill_checkpoint, find_data
    from mlffd.distill.train import UnfinishedError
    from mlffd.distill.trainer import Hardware

    require_size(size)
    require_writable(output, "--output")
    if output.suffix == _RUN_SUFFIX:
        raise InputError(f"--output: {output}: {_RUN_SUFFIX} is the suffix of the folder beside it")
    recipe = replace(
        RECIPES[size], seed=seed, epochs=epochs or RECIPES[size].epochs, compiled=compiled
    )
    run = RunFolder(output.with_suffix(_RUN_SUFFIX), resume=resume, max_minutes=max_minutes)
    view = _View(size, recipe.epochs)
    try:
        with view.progress:
            shipped = distill_checkpoint(
                find_data(data),
                output,
                size=size,
                recipe=recipe,
                hardware=Hardware(device, devices, strategy),
                run=run,
                on_step=view.on_step,
                on_epoch=view.on_epoch,
            )
    except UnfinishedError as unfinished:
        view.say(f"{unfinished}; the same command with --resume goes on")
        raise typer.Exit(3) from None
    except KeyboardInterrupt:
        saved = run.checkpoint.exists()
        goes_on = "goes on from the last save" if saved else "has nothing to go on from yet"
        view.say(f"stopped; the same command with --resume {goes_on}")
        raise typer.Exit(130) from None  # as shells report an interrupt
    if shipped is None:
        return
    for name, metrics in shipped.metrics.items():
        values = ", ".join(f"{metric} {value:.4f}" for metric, value in metrics.items())
        typer.echo(f"{name}: {values}")
    typer.echo(f"best epoch {shipped.best_epoch}; {shipped.fingerprint} written to {output}")


class _View:
    """How a training looks: a bar in a terminal, a line per validated epoch elsewhere."""

    def __init__(self, size: str, epochs: int) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._size = size
        self._epochs = epochs
        # Lightning starts the other processes with the same command.
        self._hidden = os.environ.get("LOCAL_RANK", "0") != "0"
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            refresh_per_second=2,  # drawing takes time from the training
            disable=self._hidden or not self._console.is_terminal,
        )
        self._task = self.progress.add_task(size, total=None)

    def say(self, text: str) -> None:
        if not self._hidden:
            self._console.print(text, markup=False)

    def on_step(self, done: int, total: int) -> None:
        self.progress.update(self._task, completed=done, total=total)

    def on_epoch(self, epoch: "Epoch") -> None:
        if epoch.validation is None:
            return
        rmse, energy = (epoch.validation[k] for k in ("forces_rmse", "energy_mae_per_atom"))
        self.progress.update(self._task, description=f"{self._size}: {rmse:.3f} eV/Å on validation")
        if not self._console.is_terminal:
            self.say(
                f"epoch {epoch.number} of {self._epochs}: loss {epoch.loss:.4f}; validation:"
                f" forces {rmse:.4f} eV/Å, energy {1000 * energy:.2f} meV/atom;"
                f" {epoch.seconds / 60:.1f} min"
            )
