"""The commands that make data: generate structures, label them.

Heavy imports (torch, ASE, RDKit) are inside the commands: help and bad usage answer at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mlffd.errors import InputError

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
