"""The commands that make data: generate structures, label them, part them by molecule.

Heavy imports (torch, ASE, RDKit) are inside the commands: help and bad usage answer at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mlffd.errors import InputError

if TYPE_CHECKING:
    from mlffd.distill.split import Split

Jobs = Annotated[
    int | None, typer.Option(min=1, help="Processes [default: as many as there are cores]")
]

#: How many of the structures that are left out are named; the file names more.
_NAMED = 10


def generate(
    target: Annotated[Path, typer.Argument(help="Where to write the structures (HDF5)")],
    *,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is random")] = 0,
    jobs: Jobs = None,
    molecules: Annotated[
        Path | None,
        typer.Option(help="Lines of SMILES, name and family [default: those of mlffd]"),
    ] = None,
) -> None:
    """Make structures without labels: molecules hot, cold, rattled and scanned, pairs, cells.

    Stopped at any moment, the same command goes on where it was. Needs RDKit and tblite, the label
    extra of mlffd.
    """
    from mlffd.distill.generate import generate_dataset
    from mlffd.distill.molecules import load_molecules, parse_molecules

    if molecules is None:
        listed = load_molecules()
    else:
        listed = parse_molecules(_text(molecules), source=str(molecules))
    with _progress("generating", target) as show:
        counts = generate_dataset(listed, target, seed=seed, jobs=jobs, on_done=show)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    typer.echo(f"{counts.total()} structures ({kinds}) written to {target}")


def label(
    source: Annotated[Path, typer.Argument(help="Structures (HDF5)")],
    target: Annotated[Path, typer.Argument(help="Where to write them with labels (HDF5)")],
    *,
    teacher: Annotated[
        str | None,
        typer.Option(help="module:callable that makes a calculator of ASE [default: GFN2-xTB]"),
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Label structures with a teacher's energies, forces and stresses.

    A structure without a label, or with one that is not to be believed, is left out and counted.
    Stopped at any moment, the same command goes on where it was. The default teacher needs tblite,
    the label extra of mlffd.
    """
    from mlffd.distill.labelling import label_dataset
    from mlffd.distill.teacher import DEFAULT

    with _progress("labelling", target) as show:
        done = label_dataset(source, target, teacher=teacher or DEFAULT, jobs=jobs, on_done=show)
    for name, reason in done.failures[:_NAMED]:
        typer.echo(f"left out: {name!r}: {reason}", err=True)
    for reason, count in done.reasons.most_common():
        typer.echo(f"left out: {count} for {reason}", err=True)
    typer.echo(f"{done.written} structures written to {target}")


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
    with Console(stderr=True).status("splitting"):
        done, fingerprints = write_split(source, folder, seed=seed, sizes=sizes)
    Console(highlight=False).print(_table(done))
    for name, fingerprint in fingerprints.items():
        typer.echo(f"{name}.h5: {fingerprint}")
    for reason, count in done.dropped.items():
        typer.echo(f"left out: {count} {reason}")
    typer.echo(f"left out: {done.unused} structures of test molecules that were not chosen")
    typer.echo(f"{len(done.parts)} files written to {folder}")


def _table(done: "Split") -> Table:
    """Structures by part: all, those of each rare kind, and those that hold each element."""
    from ase.data import atomic_numbers

    from mlffd.distill.stratification import count_strata

    counts = {name: count_strata(structures) for name, structures in done.parts.items()}
    found = {stratum for count in counts.values() for stratum in count}
    kinds = sorted(found - atomic_numbers.keys())  # all comes first of them
    elements = sorted(found & atomic_numbers.keys(), key=lambda symbol: atomic_numbers[symbol])
    table = Table("structures", *counts, box=None, pad_edge=False)
    for stratum in [*kinds, *elements]:
        table.add_row(stratum, *(f"{count[stratum]:,}" for count in counts.values()))
    return table


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


@contextmanager
def _progress(description: str, target: Path) -> Iterator[Callable[[int, int], None]]:
    """A bar, moved by what is yielded: done, and of how many.

    Ctrl-C says how to go on.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(
            *columns,
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,  # a log would keep an empty line of it
        ) as progress:
            task = progress.add_task(description, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
    except KeyboardInterrupt:
        typer.echo(
            f"stopped; what is done for {target} is kept: the same command goes on", err=True
        )
        raise typer.Exit(130) from None  # as shells report an interrupt
