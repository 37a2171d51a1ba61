"""An artifact and its manifest are put in place together, or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlffd.errors import InputError
from mlffd.export.manifest import manifest_path
from mlffd.files import sync_folder


def made(folder: Path) -> Path:
    """A folder, which is made if it is not there.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    return folder


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder inside ``folder`` to make files in; it is gone afterwards, whatever happened.

    Raises:
        InputError: ``folder`` does not exist or cannot be written to.
    """
    aside = folder / f".export-{secrets.token_hex(8)}"
    try:
        aside.mkdir()
    except FileNotFoundError:
        raise InputError(f"{folder}: the folder does not exist") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot write here: {error.strerror}") from error
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def put_in_place(staged: Path, target: Path) -> None:
    """Move an artifact and its manifest, in the same file system, to where they are looked for.

    At no moment is a manifest there that describes another file: the old manifest goes first, the
    new one comes last. In between, and after a crash in between, there is none, so the artifact is
    not used. What cannot be moved whole is removed.

    Args:
        staged: the artifact; its manifest is beside it.
        target: of the artifact; is replaced if it is there.

    Raises:
        InputError: there is a folder in its place.
    """
    if target.is_dir():
        raise InputError(f"{target}: a folder, expected a file to write")
    for path in (staged, manifest_path(staged)):
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    manifest_path(target).unlink(missing_ok=True)
    try:
        sync_folder(target.parent)
        staged.replace(target)
        sync_folder(target.parent)
        manifest_path(staged).replace(manifest_path(target))
        sync_folder(target.parent)
    except BaseException:
        manifest_path(target).unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        raise
