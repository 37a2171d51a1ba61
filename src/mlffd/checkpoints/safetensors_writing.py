"""Write a checkpoint as a safetensors file, in float32 or in fewer bits."""

import json
import os
from pathlib import Path

from torch import Tensor

from mlffd.checkpoints.checkpoint import Checkpoint
from mlffd.checkpoints.fingerprint import fingerprint
from mlffd.checkpoints.plain import require_plain
from mlffd.checkpoints.rounding import is_rounded, packed, rounded
from mlffd.checkpoints.safetensors_reading import FULL, KEY, SCALE, SUFFIX
from mlffd.checkpoints.validation import require_finite
from mlffd.checkpoints.writing import FORMAT, FORMAT_VERSION
from mlffd.errors import InputError
from mlffd.files import write_atomically
from mlffd.optional import import_optional


def save_safetensors(
    path: str | os.PathLike[str], checkpoint: Checkpoint, *, precision: str = FULL
) -> str:
    """Write a checkpoint so that `read_checkpoint` gives it again, or what rounding leaves of it.

    See `mlffd.checkpoints.safetensors_reading` for the layout.

    Args:
        path: to write, ending in ``.safetensors``; replaced if it exists.
        checkpoint: weights in float64 are rounded to float32.
        precision: ``fp32`` or one of `mlffd.checkpoints.rounding.ROUNDINGS`.

    Returns:
        The fingerprint of the weights that it is read as.

    Raises:
        InputError: the name ends otherwise, weights are not finite or do not fit the precision, the
            file cannot be written, or the package safetensors is missing.
    """
    path = Path(path)
    library = import_optional("safetensors.torch", extra="export")
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: expected a name that ends in {SUFFIX}")
    require_finite(checkpoint.weights, str(path))
    require_plain(checkpoint.training, f"{path}: training")
    weights = checkpoint.student().state_dict()
    stated = fingerprint(weights if precision == FULL else rounded(weights, precision))
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": checkpoint.architecture,
        "config": checkpoint.config,
        "fingerprint": stated,
        "elements": None if checkpoint.elements is None else sorted(checkpoint.elements),
        "num_parameters": checkpoint.parameter_count,
        "training": checkpoint.training,
        "precision": precision,
        "source": checkpoint.fingerprint,
    }
    # One text: the library writes several in an order that changes from run to run.
    metadata = {KEY: json.dumps(document, allow_nan=False, sort_keys=True)}
    content: bytes = library.save(_stored(weights, precision), metadata)
    write_atomically(path, lambda aside: _write(aside, content))
    return stated


def _stored(weights: dict[str, Tensor], precision: str) -> dict[str, Tensor]:
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        stored[name] = weight.contiguous()
        if precision != FULL and is_rounded(weight):
            stored[name], scales = packed(weight, precision)
            if scales is not None:
                stored[name + SCALE] = scales
    return stored


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
