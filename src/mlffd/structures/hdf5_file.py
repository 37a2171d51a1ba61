"""Opening HDF5 files that may come from anybody.

HDF5 can point at other files (external and soft links, external raw storage, virtual data sets)
and can claim terabytes in a few kilobytes. Nothing of that is followed or believed here.
"""

import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from mlffd.errors import InputError

#: gzip cannot shrink more than 1032-fold: a larger claim is not made of stored data.
MAX_EXPANSION = 1000
#: Small data sets may be mostly fill values.
ALWAYS_ALLOWED_BYTES = 64 * 2**20
#: A chunk is unpacked as a whole, even to read one number of it.
MAX_CHUNK_BYTES = 256 * 2**20


@contextmanager
def hdf5_errors(path: Path) -> Iterator[None]:
    """Turn what the HDF5 library says about a broken file into an `InputError`."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as HDF5: {reason}") from error


def open_hdf5(path: Path) -> h5py.File:
    """Open a regular file read-only.

    Raises:
        InputError: it is missing, not a regular file, empty, truncated or not HDF5.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a regular file, expected an HDF5 file")
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror}") from error
    if not head:
        raise InputError(f"{path}: empty, expected an HDF5 file")
    if not h5py.is_hdf5(path):
        raise InputError(f"{path}: not an HDF5 file: it begins with {head!r}")
    with hdf5_errors(path):
        # Shared read-only disks often have no locks; where they exist they are kept.
        return h5py.File(path, "r", locking="best-effort")


def find_member(file: h5py.File, key: str) -> h5py.Group | h5py.Dataset | None:
    """The group or data set at ``key``; None if there is none.

    Raises:
        InputError: a part of the way is a soft or an external link.
    """
    here = file
    for part in key.split("/"):
        if not isinstance(here, h5py.Group):
            return None
        link = here.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise InputError(f"{file.filename}: {key}: links are not followed, expected data")
        here = here[part]
    return here


def check_storage(file: h5py.File, datasets: Iterable[h5py.Dataset]) -> None:
    """Refuse data that lie in other files, and sizes that the file cannot hold.

    Raises:
        InputError: external or virtual storage, chunks above 256 MiB, or data sets that claim more
            than 64 MiB and more than 1,000 times the size of the file together.
    """
    path = Path(file.filename)
    claimed = 0
    for dataset in datasets:
        key = dataset.name.lstrip("/")
        if dataset.external is not None or dataset.is_virtual:
            raise InputError(f"{path}: {key}: stored in another file, which is not followed")
        chunk_bytes = dataset.dtype.itemsize
        for length in dataset.chunks or ():
            chunk_bytes *= length
        if chunk_bytes > MAX_CHUNK_BYTES:
            raise InputError(
                f"{path}: {key}: chunks of {chunk_bytes} bytes, expected at most {MAX_CHUNK_BYTES}"
            )
        claimed += dataset.size * dataset.dtype.itemsize if dataset.shape is not None else 0
    size = path.stat().st_size
    if claimed > ALWAYS_ALLOWED_BYTES and claimed > MAX_EXPANSION * size:
        raise InputError(f"{path}: claims {claimed} bytes of data, but has only {size} bytes")
