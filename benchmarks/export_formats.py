"""Which export of a student is the smallest, which the fastest, and what does each cost?

Exports students in every format and precision, unless that is done already, and measures size,
loading, energies and forces, deviations and budgets. Writes a page and, beside it, the same as
JSON. It takes minutes, most of them for exports, and needs mlffd's extra `export`:

    OMP_NUM_THREADS=1 python benchmarks/export_formats.py original tiny ultra_tiny \
        --exports exports -o docs/reference/exports.md
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from export_page import ATOMS, COUNTS, Export, Student, page, title
from student_vs_teacher import Samples, in_turns, processor

from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.budget import budget_of
from mlffd.checks.cases import Case
from mlffd.checks.evidence import Evidence
from mlffd.checks.measuring import named_students
from mlffd.checks.precision import growths
from mlffd.checks.registry import all_checks
from mlffd.checks.run import load_settings_for
from mlffd.checks.subjects import StudentSubject
from mlffd.config import Settings
from mlffd.environment import command_line, describe_environment, now
from mlffd.errors import InputError, MlffdError
from mlffd.export.exporting import Order, export
from mlffd.export.formats import FORMATS, PRECISIONS
from mlffd.export.freshness import reason_to_export
from mlffd.export.manifest import FULL_PRECISIONS, read_manifest
from mlffd.files import require_writable, write_text_atomically
from mlffd.report.console import output, status
from mlffd.report.json_report import write_document
from mlffd.runtimes.loading import load_potential
from mlffd.runtimes.opening import open_artifact
from mlffd.runtimes.potential import Potential, collate_for
from mlffd.structures.probes import rattled
from mlffd.structures.structure import Structure

EAGER = "eager"
FEWEST_ROUNDS = 3
PACKAGES = ("onnx", "onnxruntime", "safetensors")


def exported(
    student: StudentSubject, formats: Sequence[str], folder: Path
) -> tuple[dict[str, Path], dict[str, str]]:
    """Artifacts by title, made where there are none yet; and why others could not be made."""
    made, missing = {}, {}
    for entry in (FORMATS[name] for name in formats):
        for precision in (p for p in PRECISIONS if p in entry.precisions):
            what = title(entry.name, precision)
            try:
                order = Order(student.checkpoint, student.name, entry, precision)
                made[what] = folder / order.file_name
                if reason_to_export(order, folder) is not None:
                    with status(f"exporting {student.name} as {what}"):
                        export(student.checkpoint, student.name, entry.name, precision, folder)
            except MlffdError as error:
                made.pop(what, None)
                missing[what] = str(error)
    return made, missing


def race(
    student: StudentSubject,
    artifacts: Mapping[str, Path],
    structures: Sequence[Structure],
    rounds: int,
) -> tuple[dict[str, Samples], dict[int, dict[str, Samples]]]:
    """Seconds of loading, and of energies and forces, by title and for the latter by molecules."""
    opening: dict[str, Callable[[], Potential]] = {
        what: lambda path=path: open_artifact(path, threads=1, check_hash=False)  # type: ignore[misc]
        for what, path in artifacts.items()
    }
    opening[EAGER] = lambda: load_potential(student.path)
    loading = in_turns(opening, rounds)
    potentials = {what: opens() for what, opens in opening.items()}
    seconds = {}
    for count in COUNTS:
        calls = {}
        for what, potential in potentials.items():
            batch = collate_for(potential, list(structures[:count]))
            # Bound now: a closure would see the last potential only.
            calls[what] = lambda potential=potential, batch=batch: potential(batch)
        seconds[count] = in_turns(calls, rounds)
    return loading, seconds


def cost(
    student: StudentSubject, path: Path, settings: Settings
) -> tuple[dict[str, float], Evidence | None]:
    """How much errors grow, and the evidence of the budget where there is one."""
    subject = ArtifactSubject(
        name=path.name, path=path, reference=student.path, budget=budget_of(student.path, settings)
    )
    if subject.manifest.precision not in FULL_PRECISIONS:
        (check,) = (check for check in all_checks() if check.name == "precision_budget")
        evidence = Case(subject, check).run()
        measured = {c.name: c.measured for c in evidence.criteria}
        names = ("force_rmse_growth", "energy_rmse_growth")
        return {name: measured[name] for name in names if name in measured}, evidence
    if subject.manifest.neighbours == "inside":
        return {}, None  # the labelled structures may be periodic
    forces, energies = growths(student, open_artifact(path, threads=1))
    growth = {"force_rmse_growth": forces.relative, "energy_rmse_growth": energies.relative}
    return growth, None


def measure(
    student: StudentSubject, formats: Sequence[str], folder: Path, settings: Settings, rounds: int
) -> Student:
    """Export a student and measure every artifact."""
    structures = molecules(student)
    artifacts, missing = exported(student, formats, folder)
    with status(f"timing {student.name}"):
        loading, seconds = race(student, artifacts, structures, rounds)
    exports = []
    for what, path in artifacts.items():
        with status(f"measuring {student.name} as {what}"):
            growth, evidence = cost(student, path, settings)
        faster = {count: taken[EAGER] / taken[what] for count, taken in seconds.items()}
        exports.append(Export(read_manifest(path), loading[what], faster, growth, evidence))
    return Student(student.name, exports, missing)


def molecules(student: StudentSubject) -> list[Structure]:
    """A molecule of the student's data set and rattled copies of it, as many as are needed.

    Raises:
        InputError: it has no data set, or that no molecule of this size.
    """
    fitting = (s for s in student.dataset or () if len(s) == ATOMS and not s.is_periodic)
    if (molecule := next(fitting, None)) is None:
        raise InputError(f"{student.name}: no data set, or none with a molecule of {ATOMS} atoms")
    return [molecule, *(rattled(molecule, seed) for seed in range(max(COUNTS) - 1))]


def describe() -> dict[str, Any]:
    """Where and with what it was measured."""
    environment = describe_environment()
    environment["versions"] |= {name: version(name) for name in PACKAGES}
    command = f"OMP_NUM_THREADS=1 python benchmarks/{command_line()}"
    return {**environment, "processor": processor(), "date": now(), "command": command}


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, measure, and write the page.

    Raises:
        InputError: a student or its data set cannot be used, or the page cannot be written.
    """
    parser = argparse.ArgumentParser(description="Measures all exports of students side by side.")
    parser.add_argument("students", nargs="+", help="names in the settings")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the page to write")
    parser.add_argument("--exports", required=True, type=Path, help="a folder for the artifacts")
    parser.add_argument("--config", type=Path, help="the settings [default: mlffd.toml]")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args(arguments)
    if os.environ.get("OMP_NUM_THREADS") != "1":  # of every runtime
        parser.error("set OMP_NUM_THREADS=1: threads would compare processors, not programs")
    if asked.rounds < FEWEST_ROUNDS:
        parser.error(f"--rounds: {asked.rounds}, expected {FEWEST_ROUNDS} or more")
    torch.set_num_threads(1)
    require_writable(asked.output, "--output")
    settings = load_settings_for(asked.config, needed=True)
    asked.exports.mkdir(exist_ok=True)
    subjects = named_students(asked.students, settings)
    students = [measure(s, asked.formats, asked.exports, settings, asked.rounds) for s in subjects]
    environment = describe()
    document = {
        "environment": environment,
        "rounds": asked.rounds,
        "students": [student.as_dict() for student in students],
    }
    figures = asked.output.with_suffix(".json")
    write_document(document, figures)
    molecule = molecules(subjects[0])[0].name
    text = page(students, molecule, asked.rounds, environment, figures.name)
    write_text_atomically(asked.output, text)
    output().print(f"wrote {asked.output} and {figures}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"export_formats: error: {error}")
