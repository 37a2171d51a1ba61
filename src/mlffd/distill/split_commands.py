"""The command that parts labelled structures by molecule."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mlffd.distill.split import Split

# Heavy imports (SciPy, ASE) are inside the command: help and bad usage answer at once.


def split(
    source: Annotated[Path, typer.Argument(help="Labelled structures (HDF5)")],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder to write to")],
    *,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is random")] = 0,
    validation: Annotated[float, typer.Option(help="Share of the molecules to choose by")] = 0.06,
    test: Annotated[float, typer.Option(help="Share of the molecules to report on")] = 0.14,
    conformers: Annotated[
        float, typer.Option(help="Share of training molecules' thermal structures held out")
    ] = 0.04,
    test_structures: Annotated[int, typer.Option(help="Of test molecules, in test.h5")] = 500,
    golden_structures: Annotated[int, typer.Option(help="Of test molecules, in golden.h5")] = 100,
) -> None:
    """Part by molecule: train.h5, validation.h5, conformers.h5, test.h5 and golden.h5.

    No formula of test or golden occurs in the others, single atoms aside. Each part has about its
    share of every element. All five are written, or none.
    """
    from mlffd.distill.split import Sizes, write_split

    sizes = Sizes(
        validation=validation,
        test=test,
        conformers=conformers,
        test_structures=test_structures,
        golden_structures=golden_structures,
    )
    done, fingerprints = write_split(source, folder, seed=seed, sizes=sizes)
    Console(highlight=False).print(_table(done))
    for name, fingerprint in fingerprints.items():
        typer.echo(f"{name}.h5: {fingerprint}")
    for reason, count in done.dropped.items():
        typer.echo(f"left out: {count} {reason}")
    typer.echo(f"left out: {done.unused} structures of test molecules that were not chosen")
    typer.echo(f"{len(done.parts)} files written to {folder}")


def _table(split: "Split") -> Table:
    """Structures by part: all, those of each rare kind, and those that hold each element."""
    from ase.data import atomic_numbers

    from mlffd.distill.split import count_strata

    counts = {name: count_strata(structures) for name, structures in split.parts.items()}
    found = {stratum for count in counts.values() for stratum in count}
    kinds = sorted(found - atomic_numbers.keys())  # all comes first of them
    elements = sorted(found & atomic_numbers.keys(), key=lambda symbol: atomic_numbers[symbol])
    table = Table("structures", *counts, box=None, pad_edge=False)
    for stratum in [*kinds, *elements]:
        table.add_row(stratum, *(f"{count[stratum]:,}" for count in counts.values()))
    return table
