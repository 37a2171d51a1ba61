"""Parting groups so that each part has its share of everything that is rare."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from mlffd.structures.naming import kind_of
from mlffd.structures.structure import Structure

#: Atoms: from here on a structure is large, up to here small.
LARGE = 100
SMALL = 3

#: Random starts of the search for shares. One may end where rare strata are missing somewhere.
_STARTS = 10


def strata(structure: Structure) -> Iterator[str]:
    """What each part should have its share of: every element, and every kind that is rare."""
    for number in np.unique(structure.numbers):
        yield chemical_symbols[number]
    yield "all"
    if structure.is_periodic:
        yield "periodic"
    if len(structure) >= LARGE:
        yield "large"
    if len(structure) <= SMALL:
        yield "small"
    if kind_of(structure) == "scan":
        yield "scan"


def count_strata(structures: Iterable[Structure]) -> Counter[str]:
    """How many structures there are in each stratum."""
    return Counter(name for structure in structures for name in strata(structure))


def assign(
    counts: NDArray[np.int64], shares: Sequence[float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give every group to a part, so that each has about its share of every stratum.

    What is made small is Pearson's chi-squared, the sum of ``(found - expected)^2 / expected``
    over parts and strata: a surplus counts the more the rarer the stratum is. From several random
    starts, groups are moved one at a time as long as that helps.

    Args:
        counts: structures of each group in each stratum, ``[G, K]``.
        shares: of the parts, all more than 0; their sum is 1.
        rng: for the starts, and for the order of moves.

    Returns:
        The part of each group, ``[G]``.
    """
    expected = np.outer(shares, np.maximum(counts.sum(axis=0), 1))
    tries = [_descend(counts, expected, np.asarray(shares), rng) for _ in range(_STARTS)]
    return min(tries, key=lambda found: found[0])[1]


def _descend(
    counts: NDArray[np.int64],
    expected: NDArray[np.float64],
    shares: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[float, NDArray[np.int64]]:
    """Chi-squared, and the part of each group, where no move of a single group lowers it."""
    parts: NDArray[np.int64] = rng.choice(len(shares), size=len(counts), p=shares)
    surplus = -expected
    np.add.at(surplus, parts, counts)
    moved = True
    while moved:
        moved = False
        for group in rng.permutation(len(counts)):
            old = parts[group]
            surplus[old] -= counts[group]
            # What it costs each part to take the group; the others stay as they are.
            costs = (counts[group] * (2 * surplus + counts[group]) / expected).sum(axis=1)
            # By more than rounding: moves that gain nothing would never end.
            if costs.min() < costs[old] - 1e-9 * (1 + abs(costs[old])):
                parts[group] = costs.argmin()
                moved = True
            surplus[parts[group]] += counts[group]
    return float((surplus**2 / expected).sum()), parts
