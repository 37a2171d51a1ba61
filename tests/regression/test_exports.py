"""Every exported file means the same as its student: formats and precisions of ``mlffd.toml``.

What is up to date in the folder of the exports, where `mlffd export --all` writes, too, is not made
again: compiling takes longer than comparing.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlffd.checkpoints import read_checkpoint
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.budget import budget_of
from mlffd.checks.cases import Case
from mlffd.checks.cases import plan as cases_of
from mlffd.checks.evidence import Evidence
from mlffd.config import load_settings
from mlffd.errors import MissingPackageError, MlffdError
from mlffd.export.all_exports import Task, export_task, plan
from mlffd.export.exporting import Order
from mlffd.export.formats import FORMATS, format_named
from mlffd.export.freshness import reason_to_export
from mlffd.export.placing import made

ROOT = Path(__file__).parents[2]
SETTINGS = load_settings(ROOT / "mlffd.toml")

Gate = Callable[[Case], Evidence]


def exported(task: Task, folder: Path) -> Path:
    """The file of a task, made if it is not there or not up to date."""
    order = Order(
        read_checkpoint(task.checkpoint), task.student, format_named(task.format), task.precision
    )
    try:
        if reason_to_export(order, folder) is not None:
            export_task((task, folder))
    except MissingPackageError as error:
        pytest.skip(str(error))
    return folder / order.file_name


@pytest.mark.parametrize("task", plan(SETTINGS), ids=lambda task: task.name)
def test_an_export_means_the_same_as_its_student(task: Task, mlffd_gate: Gate) -> None:
    folder = made(SETTINGS.exports.folder)
    if task.unsupported is not None:
        with pytest.raises(MlffdError):  # otherwise the declaration is out of date
            exported(task, folder)
        return
    subject = ArtifactSubject(
        name=task.name,
        path=exported(task, folder),
        reference=task.checkpoint,
        budget=budget_of(task.checkpoint, SETTINGS),
    )
    for case in cases_of([subject]).cases:
        mlffd_gate(case)


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_of_a_real_student_of_revision_1_means_the_same(
    name: str, upstream: Path, tmp_path: Path, mlffd_gate: Gate
) -> None:
    checkpoint = upstream / "ultra_tiny.pt"
    task = Task("real", checkpoint, name, "fp32")

    subject = ArtifactSubject(name=task.name, path=exported(task, tmp_path), reference=checkpoint)

    for case in cases_of([subject]).cases:
        mlffd_gate(case)
