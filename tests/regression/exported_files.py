"""Exports that tests compare with their students; what is up to date is not made again."""

from pathlib import Path

import pytest
from filelock import FileLock

from mlffd.checkpoints import read_checkpoint
from mlffd.errors import MissingPackageError
from mlffd.export.all_exports import Task, export_task
from mlffd.export.exporting import Order
from mlffd.export.formats import format_named
from mlffd.export.freshness import reason_to_export


def exported(task: Task, folder: Path) -> Path:
    """The file of a task, made if it is not there or not up to date.

    One test at a time: others may want the same file.
    """
    order = Order(
        read_checkpoint(task.checkpoint), task.student, format_named(task.format), task.precision
    )
    path = folder / order.file_name
    try:
        with FileLock(folder / f".{path.name}.lock"):
            if reason_to_export(order, folder) is not None:
                export_task((task, folder))
    except MissingPackageError as error:
        pytest.skip(str(error))
    return path
