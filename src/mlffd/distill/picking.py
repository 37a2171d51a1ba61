"""Choosing some structures of many, spread over molecules, elements and kinds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mlffd.distill.stratification import LARGE, SMALL
from mlffd.structures.naming import kind_of, molecules_of, temperature_of
from mlffd.structures.structure import Structure

#: What fills up a choice once the quotas of the others are met.
MILD = "mild"
#: K; up to here a thermal structure is mild, beyond it hot.
_MILD_TEMPERATURE = 500.0


def category(structure: Structure) -> str:
    """The first of these that fits: atom, large, periodic, scan, small, pair, mild, hot, other."""
    temperature = temperature_of(structure)
    if len(structure) == 1:
        return "atom"
    if len(structure) >= LARGE:
        return "large"
    if structure.is_periodic:
        return "periodic"
    if kind_of(structure) == "scan":
        return "scan"
    if len(structure) <= SMALL:
        return "small"
    if kind_of(structure) == "pair":
        return "pair"
    if temperature is None:
        return "other"
    return MILD if temperature <= _MILD_TEMPERATURE else "hot"


def pick(
    structures: Sequence[Structure],
    candidates: Iterable[int],
    count: int,
    quotas: Mapping[str, float],
    rng: np.random.Generator,
) -> list[int]:
    """Choose about ``count`` structures; the points of a scan are chosen together or not at all.

    Always the next is one whose molecules were chosen least often, and of those one whose
    elements were.

    Args:
        structures: all.
        candidates: indices of those to choose from.
        count: how many; fewer if there are no more mild ones, and some more points of a scan.
        quotas: the share of each `category`; mild ones make up for whatever is missing.
        rng: decides between equals.

    Returns:
        Indices, ascending.
    """
    units = _units(structures, candidates, rng)
    chosen: list[int] = []
    molecules: Counter[str] = Counter()
    elements: Counter[int] = Counter()
    wanted = [(name, round(share * count)) for name, share in quotas.items()]
    for name, quota in [*wanted, (MILD, count)]:
        pool = [unit for unit in units if category(structures[unit[0]]) == name]
        until = count if name == MILD else min(count, len(chosen) + quota)
        while pool and len(chosen) < until:
            unit = pool.pop(_next(structures, pool, molecules, elements))
            chosen += unit
            molecules.update(molecules_of(structures[unit[0]]))
            elements.update(np.unique(structures[unit[0]].numbers).tolist())
    return sorted(chosen)


def _units(
    structures: Sequence[Structure], candidates: Iterable[int], rng: np.random.Generator
) -> list[list[int]]:
    """What is chosen at once, in random order: one structure, or the points of one scan."""
    units: dict[str | int, list[int]] = {}
    for index in candidates:
        structure = structures[index]
        is_point = kind_of(structure) == "scan"
        units.setdefault(structure.name.rpartition("-")[0] if is_point else index, []).append(index)
    found = list(units.values())
    return [found[i] for i in rng.permutation(len(found))]


def _next(
    structures: Sequence[Structure],
    pool: Sequence[Sequence[int]],
    molecules: Counter[str],
    elements: Counter[int],
) -> int:
    """Position in the pool of the unit that adds most that is new."""

    def seen(unit: Sequence[int]) -> tuple[int, float]:
        structure = structures[unit[0]]
        novelty = sum(1 / (1 + elements[int(z)]) for z in np.unique(structure.numbers))
        return sum(molecules[m] for m in molecules_of(structure)), -novelty

    return min(range(len(pool)), key=lambda position: seen(pool[position]))
