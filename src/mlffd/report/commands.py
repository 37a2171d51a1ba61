"""The commands that report how accurate students are.

Heavy imports (torch, ASE) are inside the commands: help and bad usage answer at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from mlffd.files import require_writable
from mlffd.report.console import output, status

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings [default: mlffd.toml here or in a folder above]"),
]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, ...")]
Data = Annotated[
    str | None,
    typer.Option(help="Labelled structures: in the settings or a file [default: theirs]"),
]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures as JSON")]


def compare(
    baseline: Annotated[str, typer.Argument(help="A student in the settings or a checkpoint")],
    candidate: Annotated[str, typer.Argument(help="The one that is to be no worse")],
    *,
    data: Data = None,
    config: Config = None,
    device: Device = "cpu",
    json: Json = None,
) -> None:
    """Compare two students on the same labelled structures, in pairs, with 95% intervals.

    Exit code 0: the candidate is worse in nothing; 1: significantly worse; 2: bad usage or input;
    3: too few structures to tell.
    """
    from mlffd.checks.comparing import compare_students
    from mlffd.checks.run import load_settings_for
    from mlffd.report.comparison import print_comparison
    from mlffd.report.json_report import write_document
    from mlffd.runtimes.eager import available_device

    if json is not None:
        require_writable(json, "--json")
    with status("comparing"):
        available_device(device)
        settings = load_settings_for(config, needed=False)
        found = compare_students(baseline, candidate, settings, data=data, device=device)
    print_comparison(found, output())
    if json is not None:
        write_document(found.as_dict(), json)
    raise typer.Exit(found.exit_code)


def accuracy(
    students: Annotated[
        list[str] | None,
        typer.Argument(help="Students in the settings, or checkpoints [default: all]"),
    ] = None,
    *,
    data: Data = None,
    config: Config = None,
    device: Device = "cpu",
    json: Json = None,
) -> None:
    """Show how accurate students are: over all, by element, size and kind, and side by side.

    It judges nothing: `mlffd check` and `mlffd compare` do.
    """
    from mlffd.checks.measuring import measure
    from mlffd.checks.run import load_settings_for
    from mlffd.report.accuracy import print_breakdown, print_standings
    from mlffd.report.json_report import write_document
    from mlffd.runtimes.eager import available_device

    if json is not None:
        require_writable(json, "--json")
    with status("measuring"):
        available_device(device)
        settings = load_settings_for(config, needed=not students)
        found = measure(students or [], settings, data=data, device=device)
    console = output()
    for item in found.students:
        print_breakdown(item, console)
    for standings in found.standings:
        print_standings(standings, console)
    if json is not None:
        write_document(found.as_dict(), json)


def card(
    student: Annotated[str, typer.Argument(help="A student in the settings or a checkpoint")],
    *,
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it [default: standard output]"),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Labelled structures: in the settings or a file, may be repeated [default: all "
            "of the settings]"
        ),
    ] = None,
    config: Config = None,
    device: Device = "cpu",
) -> None:
    """Write the model card of a student: data, recipe, accuracy, physics and known limits."""
    from mlffd.checks.cases import plan
    from mlffd.checks.measuring import measure_on_each, named_students
    from mlffd.checks.run import load_settings_for
    from mlffd.files import write_text_atomically
    from mlffd.report.card import model_card
    from mlffd.runtimes.eager import available_device

    if target is not None:
        require_writable(target, "--output")
    with status("measuring"):
        available_device(device)
        settings = load_settings_for(config, needed=False)
        (subject,) = named_students([student], settings, device=device)
        measured = measure_on_each(subject, data or list(settings.datasets), settings)
        physics = [case.run() for case in plan([subject], ["physics"]).cases]
    text = model_card(subject.name, subject.checkpoint, measured, physics)
    if target is None:
        typer.echo(text, nl=False)
    else:
        write_text_atomically(target, text)
