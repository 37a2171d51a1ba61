"""The ``mlffd`` command: arguments in, exit codes out; everything else is elsewhere."""

import itertools
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mlffd import __version__
from mlffd.distill.commands import distill
from mlffd.distill.data_commands import generate, label, split
from mlffd.errors import InputError, MlffdError
from mlffd.files import require_writable
from mlffd.report.commands import Config, Device, accuracy, card, compare
from mlffd.report.console import output, status
from mlffd.report.export_commands import export
from mlffd.report.faults import faults
from mlffd.report.perf_commands import perf_app
from mlffd.report.text import printable

if TYPE_CHECKING:
    from mlffd.checks.cases import Case
    from mlffd.golden.proposals import Proposal

# Heavy imports (torch, ASE) are inside the commands: help and bad usage answer at once.

app = typer.Typer(
    help="CI regression tests for compact machine-learned force fields.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
golden_app = typer.Typer(help="Review and accept expected results.", no_args_is_help=True)
data_app = typer.Typer(help="Look into, check, convert and make data sets.", no_args_is_help=True)
app.add_typer(golden_app, name="golden")
app.add_typer(data_app, name="data")
app.add_typer(perf_app, name="perf")


def main() -> NoReturn:
    """Run the command; what is refused becomes one line on standard error and its exit code."""
    try:
        app()
    except MlffdError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            printable(f"mlffd: error: {error}"), markup=False, style="red"
        )
        raise SystemExit(error.exit_code) from None
    except Exception:  # exit code 1, Python's own, would say that a student got worse
        traceback.print_exc()
        raise SystemExit(3) from None
    raise SystemExit(0)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mlffd {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show and exit.")
    ] = False,
) -> None:
    """CI regression tests for compact machine-learned force fields."""


@app.command()
def check(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names in the settings, checkpoints, data sets or artifacts [default: all]"
        ),
    ] = None,
    *,
    config: Config = None,
    device: Device = "cpu",
    only: Annotated[
        list[str] | None, typer.Option(help="A check or a concern (may be repeated)")
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(help="Elements that students are to serve, such as H,C,N,O"),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="The checkpoint that artifacts given by path were exported from"),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the run as JSON")] = None,
) -> None:
    """Check students, data sets and artifacts.

    Exit code 0: all passed; 1: a regression; 2: bad usage or input; 3: inconclusive or invalid.
    """
    from mlffd.checks.cases import named_subjects, plan
    from mlffd.checks.run import load_settings_for, run_cases
    from mlffd.report.json_report import write_json
    from mlffd.report.terminal import print_run
    from mlffd.runtimes.eager import available_device

    if json is not None:
        require_writable(json, "--json")
    with status("reading"):
        available_device(device)
        settings = load_settings_for(config, needed=not subjects)
        chosen = named_subjects(
            subjects or [],
            settings,
            device=device,
            elements=_parse_elements(elements),
            reference=reference,
        )
        cases, omissions = plan(chosen, only or [])
    errors = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        # Names of subjects are anybody's: no markup.
        TextColumn("{task.completed}/{task.total} {task.description}", markup=False),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,  # a log would keep an empty line of it
    ) as progress:
        task = progress.add_task("", total=len(cases))
        done = itertools.count()

        def show(case: "Case") -> None:
            progress.update(task, completed=next(done), description=printable(case.id))

        run = run_cases(cases, omissions, device=device, settings=settings.source, before=show)
    print_run(run, output())
    if json is not None:
        write_json(run, json)
    raise typer.Exit(run.exit_code)


@app.command()
def inspect(checkpoint: Annotated[Path, typer.Argument(help="A checkpoint")]) -> None:
    """Show what a checkpoint holds: layout, config, parameters, fingerprint, elements, training."""
    from mlffd.checkpoints import read_checkpoint
    from mlffd.report.inspection import print_checkpoint

    print_checkpoint(read_checkpoint(checkpoint, require_finite=False), output())


@golden_app.command("diff")
def golden_diff(
    subjects: Annotated[list[str] | None, typer.Argument(help="[default: all]")] = None,
    *,
    config: Config = None,
    device: Device = "cpu",
) -> None:
    """Show what accepting the present results would change."""
    _review(subjects, config, device)


@golden_app.command("accept")
def golden_accept(
    subjects: Annotated[list[str] | None, typer.Argument(help="[default: all]")] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why the change is intended; kept in the record")],
    proposed: Annotated[
        Path | None,
        typer.Option(help="What `pytest --mlffd-propose` wrote [default: compute now]"),
    ] = None,
    config: Config = None,
    device: Device = "cpu",
) -> None:
    """Make the present results, or proposed ones, the goldens."""
    from mlffd.golden.proposals import accept

    if not reason.strip():
        raise InputError("--reason: say why the change is intended")
    for path, proposal in _review(subjects, config, device, proposed):
        accept(proposal, path, reason=reason)
        typer.echo(f"accepted: {path}")


def _review(
    names: list[str] | None, config: Path | None, device: str, proposed: Path | None = None
) -> "list[tuple[Path, Proposal]]":
    """Print what would change; the records, with the proposals, that something changes in."""
    from mlffd.checks.cases import named_subjects
    from mlffd.checks.proposing import changes, goldens_of, refuse_mismatch
    from mlffd.checks.run import load_settings_for
    from mlffd.checks.subjects import GoldenSubject
    from mlffd.golden.proposals import read_proposals
    from mlffd.runtimes.eager import available_device

    available_device(device)
    settings = load_settings_for(config, needed=True)
    chosen = named_subjects(names or [], settings, device=device)
    subjects = [s for s in chosen if isinstance(s, GoldenSubject)]
    goldens = [(subject, golden) for subject in subjects for golden in goldens_of(subject)]
    if not goldens:
        raise InputError("no student and no data set of the settings has a golden")
    ready = None if proposed is None else {p.name: p for p in read_proposals(proposed)}
    typer.echo(printable(f"settings: {settings.source}"))
    changing = []
    for subject, golden in goldens:
        if ready is not None and golden.name not in ready:
            raise InputError(f"{proposed}: proposes nothing for {golden.name}")
        with status(f"computing {golden.name}"):
            proposal = golden.propose() if ready is None else ready[golden.name]
            refuse_mismatch(subject, proposal)
            lines = changes(subject, proposal)
        typer.echo(f"{golden.name}:" if lines else f"{golden.name}: nothing to accept")
        for line in lines:
            typer.echo(printable(f"  {line}"))
        if lines:
            changing.append((golden.path, proposal))
    return changing


@data_app.command("info")
def data_info(path: Annotated[Path, typer.Argument(help="A data set (HDF5)")]) -> None:
    """Show what a data set holds."""
    from mlffd.report.inspection import print_dataset
    from mlffd.structures.dataset import Dataset

    with Dataset(path) as dataset:
        print_dataset(dataset, output())


@data_app.command("validate")
def data_validate(path: Annotated[Path, typer.Argument(help="A data set (HDF5)")]) -> None:
    """List every violation with the index of the structure; exit code 1 if there is one."""
    from mlffd.structures.validation import validate_dataset

    with status("validating"):
        violations = validate_dataset(path)
    for violation in violations:
        where = "file" if violation.index is None else f"structure {violation.index}"
        typer.echo(printable(f"{where}: {violation.key}: {violation.message}"))
    typer.echo(f"{len(violations)} violations")
    raise typer.Exit(1 if violations else 0)


@data_app.command("convert")
def data_convert(
    source: Annotated[Path, typer.Argument(help="HDF5 (.h5, .hdf5) or extended XYZ (.xyz)")],
    target: Annotated[Path, typer.Argument(help="Written in the format of its suffix")],
) -> None:
    """Convert between HDF5 and extended XYZ."""
    from mlffd.structures.extxyz import convert

    with status("converting"):
        count = convert(source, target)
    typer.echo(f"{count} structures written to {target}")


data_app.command()(generate)
data_app.command()(label)
data_app.command()(split)
app.command()(distill)
app.command()(accuracy)
app.command()(compare)
app.command()(card)
app.command()(export)
app.command()(faults)


def _parse_elements(text: str | None) -> frozenset[int] | None:
    """Atomic numbers from ``H,C,N``.

    Raises:
        InputError: something in it is no chemical symbol.
    """
    if text is None:
        return None
    from ase.data import atomic_numbers

    symbols = text.replace(",", " ").split()
    if not symbols or any(atomic_numbers.get(s, 0) < 1 for s in symbols):
        raise InputError(f"--elements: {text!r}: expected chemical symbols such as H,C,N,O")
    return frozenset(atomic_numbers[s] for s in symbols)
