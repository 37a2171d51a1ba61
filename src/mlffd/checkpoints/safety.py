"""Read a torch file that nobody vouches for, as data.

``torch.load(weights_only=True)`` runs no code of the file, but it trusts the file otherwise: it
checks no checksum, expands compressed entries of any size, and makes tensors of 10^12 elements out
of 8 bytes. So the file is sized, sniffed and audited first, and its tensors are measured after.
"""

import os
import re
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import torch
from torch import Tensor, nn

from mlffd.checkpoints.plain import shown
from mlffd.errors import InputError

#: Bytes, for the file and for what it expands to.
SIZE_CAP = 2 * 2**30
#: torch.save does not compress at all. Weights that somebody compressed shrink a little.
MOST_EXPANSION = 100
MOST_ENTRIES = 100_000
#: Bytes of the pickle, which holds names and shapes but no values of tensors.
LARGEST_PICKLE = 64 * 2**20

_ZIP = b"PK\x03\x04"
_LEGACY_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # its pickled magic number
_SAVE_AGAIN = "load it where you trust it and save its state dict again with torch.save"


def read_torch_file(path: str | os.PathLike[str], *, size_cap: int = SIZE_CAP) -> object:
    """What `torch.save` put into a file: tensors, on the CPU, in plain containers.

    Args:
        path: of a zip archive as torch.save has written since torch 1.6.
        size_cap: largest size in bytes of the file, and of what it expands to.

    Raises:
        InputError: it is no such file, is damaged, is too large, or holds anything else. Nothing
            of the file is executed, in no case.
    """
    path = Path(path)
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > size_cap:
            raise InputError(f"{path}: {size} bytes, expected at most {size_cap}")
        head = stream.read(512)
        if not head.startswith(_ZIP):
            raise InputError(
                f"{path}: expected a checkpoint written by torch.save, found {_name(head, size)}"
            )
        _audit(path, stream, size, size_cap)
        stream.seek(0)
        try:
            loaded: object = torch.load(stream, map_location="cpu", weights_only=True, mmap=False)
        except Exception as error:  # hostile bytes make the unpickler raise anything
            raise InputError(f"{path}: {_reason(error)}: refused") from error
    _measure_tensors(path, loaded)
    return loaded


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, and nothing else that a name may stand for.

    Raises:
        InputError: it is a folder, a pipe or a device, or cannot be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path}: a folder, expected a checkpoint file")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
            raise InputError(f"{path}: not a regular file, expected a checkpoint file")
        return path.open("rb")
    except FileNotFoundError:
        what = f"a link to {path.readlink()}, which is" if path.is_symlink() else "file"
        raise InputError(f"{path}: {what} not found") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from error


def _name(head: bytes, size: int) -> str:
    """What the first bytes of a file that is no zip archive say it is."""
    start = head.lstrip().lower()
    if not head:
        return "an empty file"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "an HTML or XML page (a download that went wrong?)"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (fetch the file itself with `git lfs pull`)"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "an HDF5 file"
    if head.startswith(b"PK\x05\x06"):
        return "an empty zip archive"
    if head.startswith(_LEGACY_TORCH):
        return (
            f"the format that torch wrote before 1.6 (legacy pickle, no checksums); {_SAVE_AGAIN}"
        )
    if head[257:262] == b"ustar":
        return f"a tar archive (the format that torch wrote before 0.2?); {_SAVE_AGAIN}"
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return "a bare pickle, which could run any code"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "a safetensors file (its name is to end in .safetensors)"
    if head[0] == 0x08 and len(head) > 2 and head[1] < 32 and head[2] in (0x12, 0x1A, 0x22, 0x3A):
        return "what looks like an ONNX model"
    return f"unknown bytes (first: {head[:8].hex(' ')})"


def _audit(path: Path, stream: BinaryIO, size: int, size_cap: int) -> None:
    """Check a zip archive before torch parses it; the order is from cheap to expensive."""
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            _check_entries(path, entries, size, size_cap)
            damaged = archive.testzip()
    except InputError:
        raise
    except Exception as error:  # hostile bytes make zipfile, zlib and struct raise anything
        raise InputError(
            f"{path}: damaged or truncated: not a readable zip archive ({_one_line(str(error))})"
        ) from error
    if damaged is not None:
        raise InputError(
            f"{path}: damaged: the checksum of entry {shown(damaged)} does not match"
            " (or it was saved with checksums turned off)"
        )


def _check_entries(path: Path, entries: list[zipfile.ZipInfo], size: int, size_cap: int) -> None:
    if len(entries) > MOST_ENTRIES:
        raise InputError(f"{path}: {len(entries)} zip entries, expected at most {MOST_ENTRIES}")
    expanded = sum(entry.file_size for entry in entries)
    if expanded > size_cap:
        raise InputError(f"{path}: expands to {expanded} bytes, expected at most {size_cap}")
    if expanded > MOST_EXPANSION * size:
        raise InputError(
            f"{path}: expands {expanded // size} times, expected at most {MOST_EXPANSION} times"
            " (a zip bomb?)"
        )
    if sum(entry.compress_size for entry in entries) > size:
        raise InputError(f"{path}: its zip entries overlap (a zip bomb?)")
    names = {entry.filename for entry in entries}
    if len(names) != len(entries):
        raise InputError(f"{path}: several zip entries have the same name")
    for entry in entries:
        name = entry.filename
        odd = "\\" in name or "\0" in entry.orig_filename  # zipfile cuts names off at a NUL
        if odd or name.startswith("/") or ".." in name.split("/"):
            raise InputError(f"{path}: zip entry {shown(name)}: expected a plain relative name")
        if entry.flag_bits & 1:
            raise InputError(f"{path}: zip entry {shown(name)} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{path}: zip entry {shown(name)} is compressed in an unknown way")
    # torch takes the first entry's folder for the archive's root.
    root = PurePosixPath(entries[0].filename).parts[0]
    if f"{root}/constants.pkl" in names:
        raise InputError(
            f"{path}: a TorchScript archive, which carries code; expected a checkpoint of weights"
        )
    pickles = [entry for entry in entries if entry.filename == f"{root}/data.pkl"]
    if not pickles:
        raise InputError(
            f"{path}: a zip archive, but not of torch.save: it has no {shown(f'{root}/data.pkl')}"
        )
    if pickles[0].file_size > LARGEST_PICKLE:
        raise InputError(
            f"{path}: a pickle of {pickles[0].file_size} bytes, expected at most {LARGEST_PICKLE}"
        )


def _reason(error: Exception) -> str:
    """Why torch did not load it, in one line."""
    message = str(error)
    if wanted := re.search(r"GLOBAL ([^\s`]+)", message):
        return (
            "contains something other than tensors and plain containers"
            f" (the pickle asks for {_one_line(wanted.group(1))})"
        )
    if isinstance(error, MemoryError):
        return "asks for more memory than there is"
    return f"torch cannot load it as weights ({type(error).__name__}: {_one_line(message)})"


def _one_line(text: str) -> str:
    """The first line's beginning, with nothing in it that a terminal would act upon."""
    line = next((line for line in text.splitlines() if line.strip()), "no reason given")
    return "".join(c if c.isprintable() else "?" for c in line[:200]).strip()


def _measure_tensors(path: Path, loaded: object) -> None:
    """Refuse tensors, wherever they are, that show more values than the file holds."""
    seen: set[int] = set()
    pending: list[object] = [loaded]
    while pending:  # not recursive: nesting is as deep as the file likes
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Tensor):
            if type(item) not in (Tensor, nn.Parameter):
                raise InputError(
                    f"{path}: a {type(item).__name__}, expected plain tensors: refused"
                )
            if item.layout == torch.strided and not item.is_meta and not item.is_nested:
                wanted, held = item.numel() * item.element_size(), item.untyped_storage().nbytes()
                if wanted > held:
                    raise InputError(
                        f"{path}: a tensor of shape {list(item.shape)} takes {wanted} bytes"
                        f" but the file holds {held} for it: refused"
                    )
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            pending.extend(item)
