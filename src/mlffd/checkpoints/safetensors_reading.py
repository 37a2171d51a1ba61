"""Read a safetensors file that nobody vouches for: weights and a header, nothing that could run.

Our own files have one text in the header's metadata, under ``mlffd``: a JSON object of the keys of
`mlffd.checkpoints.writing` without the weights, and of two more: ``precision``, and ``source``, the
fingerprint of the weights before they were rounded. Weights may be rounded, see
`mlffd.checkpoints.rounding`; the scales of an int8 matrix are beside it, under its name and
``.scale``. The fingerprint that is stated is of the weights as they are read. The metadata of other
files mean nothing here.

The format: https://github.com/huggingface/safetensors#format
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mlffd.checkpoints.plain import shown
from mlffd.checkpoints.rounding import HALVES, INT8, ROUNDINGS, is_rounded, unpacked
from mlffd.checkpoints.safety import SIZE_CAP, open_regular
from mlffd.errors import InputError
from mlffd.optional import import_optional

SUFFIX = ".safetensors"
KEY = "mlffd"
SCALE = ".scale"
FULL = "fp32"

#: Bytes: a student's header has some ten thousand.
LARGEST_HEADER = 4 * 2**20


def read_safetensors_file(path: str | os.PathLike[str], *, size_cap: int = SIZE_CAP) -> object:
    """What a safetensors file holds, in the form in which `torch.save` would have kept it.

    Args:
        path: of the file.
        size_cap: largest size in bytes.

    Returns:
        Of our own files, what `mlffd.checkpoints.writing` describes, the weights as they are after
        rounding; of others, tensors by name.

    Raises:
        InputError: it is no such file, is damaged or too large, a tensor is there twice, or
            what it says of its precision is not so; or the package safetensors is missing.
    """
    path = Path(path)
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > size_cap:
            raise InputError(f"{path}: {size} bytes, expected at most {size_cap}")
        content = stream.read(size)
    header = _header(content, path)
    library = import_optional("safetensors.torch", extra="export")
    try:
        tensors: dict[str, Tensor] = library.load(content)
    except Exception as error:  # of several kinds; tensors that overlap are among the reasons
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a sound safetensors file: {reason}") from error
    metadata = header.get("__metadata__", {})
    if KEY not in metadata:
        return tensors
    document = _parsed(metadata[KEY], f"{path}: metadata: {KEY}")
    precision = document.pop("precision", None)
    if precision not in (FULL, *ROUNDINGS):
        raise InputError(
            f"{path}: precision is {shown(precision)}, expected one of"
            f" {', '.join((FULL, *ROUNDINGS))}"
        )
    return {**document, "model_state_dict": _restored(tensors, precision, str(path))}


def _header(content: bytes, path: Path) -> dict[str, Any]:
    """The header, read a second time by the library: it does not mind names that come twice."""
    length = int.from_bytes(content[:8], "little")
    if content[8:9] != b"{" or length > len(content) - 8:
        raise InputError(f"{path}: expected a safetensors file, found another or a part of one")
    if length > LARGEST_HEADER:
        raise InputError(f"{path}: a header of {length} bytes, expected at most {LARGEST_HEADER}")
    header = _parsed(content[8 : 8 + length], f"{path}: header")
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict):
        raise InputError(f"{path}: __metadata__: expected texts by name")
    return header


def _parsed(text: object, where: str) -> dict[str, Any]:
    """A JSON object that has no key twice and no number that JSON does not know."""
    if not isinstance(text, str | bytes):
        raise InputError(f"{where}: expected a text")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{where}: {shown(twice)} comes twice")
        return found

    def refuse(constant: str) -> None:
        raise InputError(f"{where}: {constant} is no number of JSON")

    try:
        document = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{where}: expected a JSON object")
    return document


def _restored(tensors: dict[str, Tensor], precision: str, where: str) -> dict[str, Tensor]:
    """The weights in float32 and float64: exactly those are rounded that the precision rounds."""
    scales = {}
    if precision == INT8:
        names = [name for name, tensor in tensors.items() if tensor.dtype == torch.int8]
        for name in names:
            scale = tensors.pop(name + SCALE, None)
            if (
                scale is None
                or scale.dtype != torch.float32
                or scale.shape != tensors[name].shape[:1]
            ):
                raise InputError(
                    f"{where}: {shown(name + SCALE)}: expected float32, one for each row of"
                    f" {shown(name)}"
                )
            scales[name] = scale
    stored = torch.int8 if precision == INT8 else HALVES.get(precision, torch.float32)
    weights = {}
    for name, tensor in tensors.items():
        weight = tensor
        if tensor.dtype == stored != torch.float32:
            weight = unpacked(tensor, scales.get(name))
        if (weight is tensor) is (is_rounded(weight) and precision != FULL):
            raise InputError(
                f"{where}: {shown(name)} is {str(tensor.dtype).removeprefix('torch.')}, which does"
                f" not fit {precision}"
            )
        weights[name] = weight
    return weights
