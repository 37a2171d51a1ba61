"""The grammar of the names of generated structures: ``molecule/kind-number``.

Examples: ``aspirin/300K-0`` (a thermal structure), ``aspirin/scan-0-03`` (point 3 of scan 0),
``aspirin/rattle-1``, ``aspirin/min-0``, ``aspirin/relaxed-0``, ``water+hf/pair-0``,
``urea/cell-0``, ``H/atom``. A data set may use other names; then there is no molecule, and the kind
is `OTHER`.
"""

import re

from mlffd.structures.structure import Structure

#: The kind of structures that molecular dynamics at some temperature made.
THERMAL = "thermal"

#: The kind of a name that is not of this grammar.
OTHER = "other"

_TEMPERATURE = re.compile(r"(\d+)K(?:-|$)")
_KIND = re.compile(r"([a-z]+)(?:-|$)")


def molecules_of(structure: Structure) -> tuple[str, ...]:
    """The molecules that a structure is made of: ``("water", "hf")`` for ``water+hf/pair-0``.

    Each occurs once, in the order of the name. Empty if the name is not of this grammar.
    """
    molecules, slash, _ = structure.name.partition("/")
    return tuple(dict.fromkeys(filter(None, molecules.split("+")))) if slash else ()


def kind_of(structure: Structure) -> str:
    """What was done to the molecule: `THERMAL`, the word after the slash, or `OTHER`."""
    kind = structure.name.partition("/")[2]
    if _TEMPERATURE.match(kind):
        return THERMAL
    match = _KIND.match(kind)
    return match[1] if match else OTHER


def temperature_of(structure: Structure) -> float | None:
    """K; None unless the structure is of the kind `THERMAL`."""
    match = _TEMPERATURE.match(structure.name.partition("/")[2])
    return float(match[1]) if match else None
