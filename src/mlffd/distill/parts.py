"""What one unit of work leaves behind: a small JSON file of structures and failures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlffd.errors import InputError
from mlffd.structures.structure import Structure

_ARRAYS = ("numbers", "positions", "cell", "pbc", "forces", "stress")


@dataclass(frozen=True)
class Part:
    """The result of one unit.

    Attributes:
        structures: in order.
        failures: name and reason, of structures that are not there.
    """

    structures: Sequence[Structure]
    failures: Sequence[tuple[str, str]] = field(default=())


def write_part(path: Path, part: Part) -> None:
    """Write a part; every number comes back as it was, to the last bit."""
    text = json.dumps(
        {
            "structures": [_to_json(structure) for structure in part.structures],
            "failures": list(part.failures),
        }
    )
    path.write_text(text, encoding="utf-8")


def read_part(path: Path) -> Part:
    """Read a part.

    Raises:
        InputError: the file is not a part.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Part(
            structures=[Structure(**fields) for fields in content["structures"]],
            failures=[(name, reason) for name, reason in content["failures"]],
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: no part of a data set: {error}") from error


def _to_json(structure: Structure) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": structure.name, "energy": structure.energy}
    for key in _ARRAYS:
        value = getattr(structure, key)
        fields[key] = None if value is None else np.asarray(value).tolist()
    return fields
