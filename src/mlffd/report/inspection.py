"""What a file holds, for `mlffd inspect` and `mlffd data info`."""

from collections.abc import Iterable, Iterator

from ase.data import chemical_symbols
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlffd.checkpoints import Checkpoint
from mlffd.golden.coverage import measure_coverage
from mlffd.report.text import printable
from mlffd.structures.dataset import Dataset


def print_checkpoint(checkpoint: Checkpoint, console: Console) -> None:
    """Print all that is known about a checkpoint."""
    elements = "unknown"
    if checkpoint.elements is not None:
        elements = f"{_symbols(checkpoint.elements)} ({checkpoint.elements_source})"
    rows = {
        "file": str(checkpoint.path),
        "layout": checkpoint.layout,
        "architecture": checkpoint.architecture,
        "revision": str(checkpoint.revision),
        "parameters": f"{checkpoint.parameter_count:,}",
        "fingerprint": checkpoint.fingerprint,
        "trained elements": elements,
        **{f"config {k}": str(v) for k, v in checkpoint.config.items() if k != "revision"},
        **dict(_leaves("training", checkpoint.training)),
    }
    _print_rows(rows, console)
    for note in checkpoint.notes:
        console.print(Text(printable(f"note: {note}")))
    for name, count in checkpoint.non_finite().items():
        console.print(Text(f"warning: {name} has {count} values that are not finite", "yellow"))


def print_dataset(dataset: Dataset, console: Console) -> None:
    """Print the figures of a data set and its metadata."""
    coverage = measure_coverage(dataset)
    kinds = coverage.kinds
    labels = "none"
    if kinds["labelled"]:
        labels = f"energy and forces {kinds['labelled']:,}, stress {kinds['stress']:,}"
    rows = {
        "file": str(dataset.path),
        "structures": f"{len(dataset):,}",
        "periodic": f"{kinds['periodic']:,}",
        "atoms": f"{int(dataset.atom_counts.sum()):,} (largest structure {coverage.largest:,})",
        "labels": labels,
        "fingerprint": dataset.fingerprint,
        **{f"metadata {k}": str(v) for k, v in sorted(dataset.metadata.items())},
    }
    _print_rows(rows, console)
    table = Table("element", "structures", "atoms", box=None, pad_edge=False)
    for symbol, count in coverage.elements.items():
        table.add_row(symbol, f"{count.structures:,}", f"{count.atoms:,}")
    console.print(table)


def _print_rows(rows: dict[str, str], console: Console) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(Text(printable(key)), Text(printable(value)))
    console.print(table)


def _leaves(name: str, value: object) -> Iterator[tuple[str, str]]:
    """What a plain value holds, each leaf with the path that leads to it.

    A list stays one leaf unless something in it has parts of its own.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{name} {key}", item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(f"{name} {index}", item)
    elif isinstance(value, list):
        yield name, ", ".join(map(_leaf, value))
    else:
        yield name, _leaf(value)


def _leaf(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _symbols(numbers: Iterable[int]) -> str:
    return " ".join(chemical_symbols[z] for z in sorted(numbers))
