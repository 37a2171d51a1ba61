"""What structures are made of: formulas that tell compositions apart."""

from collections.abc import Iterable

import numpy as np
from ase.data import chemical_symbols

from mlffd.structures.structure import Structure


def composition(structure: Structure) -> str:
    """The Hill formula: C, then H, then the others by alphabet; without C all by alphabet.

    Isomers, conformers and copies under another name have the same one. A cell of several
    molecules has that of its whole content: E. A. Hill, J. Am. Chem. Soc. 22 (1900) 478.
    """
    numbers, counts = np.unique(structure.numbers, return_counts=True)
    found = {chemical_symbols[z]: int(count) for z, count in zip(numbers, counts, strict=True)}
    first = ("C", "H") if "C" in found else ()
    order = [s for s in first if s in found] + sorted(found.keys() - set(first))
    return "".join(f"{s}{found[s]}" if found[s] > 1 else s for s in order)


def compositions(structures: Iterable[Structure]) -> list[str]:
    """The distinct Hill formulas, sorted."""
    return sorted({composition(structure) for structure in structures})
