"""Files and folders that are either whole or not there, and whether they can be written at all."""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from mlffd.errors import InputError


def require_writable(path: Path, key: str) -> None:
    """Refuse a destination that could not be written after minutes of computing.

    Args:
        path: of a file that need not exist.
        key: the option or argument that names it.

    Raises:
        InputError: it is a folder, or its folder does not exist or cannot be written to.
    """
    if path.is_dir():
        raise InputError(f"{key}: {path}: a folder, expected a file to write")
    if _is_device(path):
        return
    _require_parent(path, f"{key}: {path}")


def require_new_folder(folder: Path) -> None:
    """Refuse a folder that could not be written as a whole after minutes of computing.

    Raises:
        InputError: it holds something, is a file or the working folder, or the one above it does
            not exist or cannot be written to.
    """
    if folder.absolute() == Path.cwd():
        raise InputError(f"{folder}: the working folder cannot be replaced, expected another")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: expected an empty folder or one that is yet to be made")
    _require_parent(folder, f"{folder}")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, sync it, and rename it into place.

    A reader sees the old content or the new one, never a part; a failure leaves the old file.
    What is no file, such as ``/dev/stdout``, gets everything at the end: a file must not take its
    place.

    Raises:
        InputError: the folder does not exist or cannot be written, or ``path`` is a folder.
    """
    path = Path(path)
    if _is_device(path):
        _write_to_device(path, write)
        return
    aside = path.parent / f".{path.name}.{secrets.token_hex(8)}{path.suffix}"
    try:
        # Unlike tempfile's, which are private, an ordinary file: the umask decides who may read.
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise InputError(f"{path}: cannot write here: {error.strerror}") from error
    try:
        write(aside)
        with aside.open("rb+") as stream:
            os.fsync(stream.fileno())
        _rename(aside, path)
        sync_folder(path.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_text_atomically(path: Path, text: str) -> None:
    """`write_atomically` for a text, in UTF-8."""
    write_atomically(path, lambda aside: _write_text(aside, text))


def write_folder_atomically(folder: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary folder beside ``folder``, and rename it into place.

    The files in it are as durable as ``write`` makes them.

    Raises:
        InputError: ``folder`` is there and holds something, is a file, or cannot be made.
    """
    folder = Path(folder)
    require_new_folder(folder)
    aside = folder.parent / f".{folder.name}.{secrets.token_hex(8)}"
    try:
        aside.mkdir()
    except OSError as error:
        raise InputError(f"{folder}: cannot write here: {error.strerror}") from error
    try:
        write(aside)
        if folder.exists():
            _remove_empty(folder)  # Windows renames onto no folder, not even an empty one
        _rename(aside, folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def write_folder_once(folder: Path, write: Callable[[Path], None]) -> None:
    """`write_folder_atomically` for a cache: nothing is done if the folder is there.

    Another process may be faster meanwhile: what it wrote is taken to be the same.

    Raises:
        InputError: the folder or one above it cannot be made.
    """
    if folder.exists():
        return
    make_folder(folder.parent)
    try:
        write_folder_atomically(folder, write)
    except InputError:
        if not folder.exists():
            raise


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it; it may be there already.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable. Windows cannot open a folder and does not need to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_device(path: Path) -> bool:
    """Whether it is a terminal, a pipe or the like, or names what is open already."""
    is_special = path.exists() and not (path.is_file() or path.is_dir())
    return is_special or path.absolute().parent in (Path("/dev"), Path("/dev/fd"))


def _write_to_device(path: Path, write: Callable[[Path], None]) -> None:
    with TemporaryDirectory() as folder:
        aside = Path(folder) / f"all{path.suffix}"
        write(aside)
        try:
            # Behind what is there: /dev/stdout may be a file that holds the program's other output.
            with path.open("ab") as stream:
                stream.write(aside.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot write here: {error.strerror}") from error


def _require_parent(path: Path, where: str) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{where}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{where}: the folder {folder} cannot be written to")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        raise InputError(f"{folder}: cannot be replaced: {error.strerror}") from error


def _rename(aside: Path, path: Path) -> None:
    try:
        aside.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be replaced: {error.strerror}") from error
