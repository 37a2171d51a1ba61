"""Where a report is to go: looked at before anything is computed for it."""

import os
from pathlib import Path

from mlffd.errors import InputError


def require_writable(path: Path, option: str) -> None:
    """Refuse a destination that could not be written after minutes of computing.

    Args:
        path: of a file that need not exist.
        option: of the command line that names it.

    Raises:
        InputError: it is a folder, or its folder does not exist or cannot be written to.
    """
    if path.is_dir():
        raise InputError(f"{option}: {path}: a folder, expected a file to write")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{option}: {path}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{option}: {path}: the folder {folder} cannot be written to")
