"""Write a checkpoint in mlffd's own format.

A file of `torch.save` that holds tensors and plain containers only:

| key | value |
|---|---|
| ``format``, ``format_version`` | ``"mlffd-checkpoint"``, ``1`` |
| ``architecture``, ``config`` | what `mlffd.students.build` needs; the config states the revision |
| ``model_state_dict`` | the student's state dict, contiguous, on the CPU |
| ``fingerprint`` | of these weights, see `mlffd.checkpoints.fingerprint` |
| ``elements`` | ascending atomic numbers that the student was trained on |
| ``num_parameters`` | trainable ones |
| ``training`` | provenance: plain values |
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from mlffd.checkpoints.fingerprint import fingerprint
from mlffd.checkpoints.plain import require_plain
from mlffd.checkpoints.validation import check_kinds, require_finite
from mlffd.errors import InputError
from mlffd.files import write_atomically
from mlffd.students import Student

FORMAT = "mlffd-checkpoint"
FORMAT_VERSION = 1


def check_elements(elements: object, where: str) -> list[int]:
    """Check that something is a list of one or more distinct atomic numbers; return them sorted.

    Raises:
        InputError: it is not.
    """
    if (
        not isinstance(elements, list)
        or not elements
        or any(type(z) is not int or not 1 <= z <= 118 for z in elements)
        or len(set(elements)) != len(elements)
    ):
        raise InputError(
            f"{where}: elements: expected distinct atomic numbers from 1 to 118, one or more"
        )
    return sorted(elements)


def save_checkpoint(
    path: str | os.PathLike[str],
    student: Student,
    *,
    elements: Iterable[int],
    training: Mapping[str, object],
) -> str:
    """Write a student so that `load_checkpoint` gives exactly it; the file is whole or not there.

    Args:
        path: to write; replaced if it exists.
        student: in float32 or float64.
        elements: atomic numbers that it was trained on.
        training: provenance (data, seeds, versions, command ...) as plain values.

    Returns:
        The fingerprint of the weights.

    Raises:
        InputError: weights are not finite or in another dtype, the elements are no atomic numbers,
            the provenance holds something that is not plain, or the file cannot be written.
    """
    path = Path(path)
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in student.state_dict().items()
    }
    check_kinds(weights, str(path))
    require_finite(weights, str(path))
    provenance = dict(training)
    require_plain(provenance, f"{path}: training")
    stated = fingerprint(weights)
    payload = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": student.architecture,
        "config": student.config,
        "model_state_dict": weights,
        "fingerprint": stated,
        "elements": check_elements(list(elements), str(path)),
        "num_parameters": student.parameter_count,
        "training": provenance,
    }
    write_atomically(path, lambda aside: _write(aside, payload))
    return stated


def _write(path: Path, payload: dict[str, object]) -> None:
    # Through a stream: given a path, torch would put the temporary file's name into the archive.
    with path.open("wb") as stream:
        torch.save(payload, stream)
