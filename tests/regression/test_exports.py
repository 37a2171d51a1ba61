"""Every exported file means the same as its student: formats and precisions of ``mlffd.toml``.

What is up to date in the folder of the exports, where `mlffd export --all` writes, too, is not made
again: compiling takes longer than comparing.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from exported_files import exported

from mlffd.checkpoints import read_checkpoint
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.budget import budget_of
from mlffd.checks.cases import Case
from mlffd.checks.cases import plan as cases_of
from mlffd.checks.evidence import Evidence
from mlffd.config import load_settings
from mlffd.errors import MlffdError
from mlffd.export.all_exports import Task, plan
from mlffd.export.formats import FORMATS
from mlffd.export.manifest import FULL_PRECISIONS
from mlffd.export.placing import made

ROOT = Path(__file__).parents[2]
SETTINGS = load_settings(ROOT / "mlffd.toml")

#: Formats, and the precisions that they are to have in full.
FULL = [(f.name, p) for f in FORMATS.values() for p in f.precisions if p in FULL_PRECISIONS]

Gate = Callable[[Case], Evidence]


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


@pytest.mark.parametrize(("name", "precision"), FULL)
@pytest.mark.parametrize("student", ["original", "tiny", "ultra_tiny"])
def test_an_export_of_a_real_student_of_revision_1_means_the_same(
    student: str, name: str, precision: str, upstream: Path, mlffd_gate: Gate
) -> None:
    checkpoint = upstream / f"{student}.pt"
    assert read_checkpoint(checkpoint).revision == 1
    task = Task(student, checkpoint, name, precision)
    path = exported(task, made(made(SETTINGS.exports.folder) / "real"))

    subject = ArtifactSubject(name=f"real-{task.name}", path=path, reference=checkpoint)

    for case in cases_of([subject]).cases:
        mlffd_gate(case)
