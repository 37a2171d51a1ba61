"""The commands that make a student: generate structures, label them, train.

Heavy imports (torch, ASE) are inside the commands: help and bad usage answer at once.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress, track

from mlffd.errors import InputError

T = TypeVar("T")


def generate(
    folder: Annotated[Path, typer.Argument(help="An existing folder to write to")],
    *,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is random")] = 0,
) -> None:
    """Make structures without labels: train.h5, validation.h5 and golden.h5, by molecule.

    Needs RDKit and tblite, the label extra of mlffd.
    """
    from mlffd.distill.generate import FILES, generate_structures
    from mlffd.distill.molecules import load_molecules
    from mlffd.structures.dataset import write_dataset

    if not folder.is_dir():
        raise InputError(f"{folder}: expected an existing folder")
    molecules = load_molecules()
    for split, name in FILES.items():
        structures = list(_track(generate_structures(molecules, split, seed), f"making {name}"))
        write_dataset(
            folder / name, structures, metadata={"source": f"mlffd data generate --seed {seed}"}
        )
        typer.echo(f"{len(structures)} structures written to {folder / name}")


def label(
    source: Annotated[Path, typer.Argument(help="Structures (HDF5)")],
    target: Annotated[Path, typer.Argument(help="Where to write them with labels (HDF5)")],
) -> None:
    """Label structures with energies, forces and stresses of GFN2-xTB.

    A structure without a label is left out and named. Needs tblite, the label extra of mlffd.
    """
    from mlffd.distill.teacher import label_all, provenance
    from mlffd.structures.dataset import Dataset, write_dataset

    with Dataset(source) as dataset:
        metadata = {**dataset.metadata, **provenance()}
        done = label_all(_track(dataset, "labelling", total=len(dataset)))
    for name, reason in done.failures:
        typer.echo(f"left out: {name}: {reason}", err=True)
    if not done.structures:
        raise InputError(f"{source}: no structure could be labelled")
    write_dataset(target, done.structures, metadata=metadata)
    typer.echo(f"{len(done.structures)} structures written to {target}")


def distill(
    *,
    train: Annotated[Path, typer.Option(help="Labelled structures to learn from (HDF5)")],
    validation: Annotated[Path, typer.Option(help="To choose the best epoch by (HDF5)")],
    test: Annotated[Path, typer.Option(help="To report on, used for nothing else (HDF5)")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write")],
    size: Annotated[str, typer.Option(help="original, tiny or ultra_tiny")] = "ultra_tiny",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the structures")] = 80,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order")] = 0,
) -> None:
    """Train a student on labels and write its checkpoint, with metrics and provenance in it."""
    from mlffd.distill.shipping import distill_checkpoint
    from mlffd.distill.train import Epoch, Recipe

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("training", total=epochs)

        def show(epoch: Epoch) -> None:
            rmse = epoch.validation["forces_rmse"]
            progress.update(task, completed=epoch.number, description=f"validation {rmse:.3f} eV/Å")

        shipped = distill_checkpoint(
            {"train": train, "validation": validation, "test": test},
            output,
            size=size,
            recipe=Recipe(epochs=epochs, seed=seed),
            on_epoch=show,
        )
    for split, metrics in shipped.metrics.items():
        values = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        typer.echo(f"{split}: {values}")
    typer.echo(f"best epoch {shipped.best_epoch}; {shipped.fingerprint} written to {output}")


def _track(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    console: Any = Console(stderr=True)
    return track(items, description, total=total, console=console, transient=True)
