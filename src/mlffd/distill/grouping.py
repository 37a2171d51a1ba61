"""Which molecules must not be parted: those that one structure, or one formula, holds together."""

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mlffd.structures.composition import composition
from mlffd.structures.naming import kind_of, molecules_of
from mlffd.structures.structure import Structure

#: Of all formulas, in one group. Pairs and cells could join all molecules to one group, by way of
#: isomers; one that would make a larger group than this is not allowed to join.
_LARGEST_SHARE = 0.02
_LARGEST_AT_LEAST = 4


def is_compound(structure: Structure) -> bool:
    """Whether it is packed from molecules, perhaps copies of one: a pair, or a cell."""
    return "+" in structure.name.partition("/")[0] or kind_of(structure) == "cell"


def group_structures(
    structures: Sequence[Structure], rng: np.random.Generator
) -> list[frozenset[int]]:
    """Number groups of molecules, and say which of them each structure touches.

    Molecules of one formula are one group, whatever they are called: isomers stay together, and
    so does a molecule with its copy under another name. Pairs and cells join the groups of their
    molecules, in random order, as long as the group stays small.

    Args:
        structures: single atoms are no molecules: they touch no group.
        rng: for the order.

    Returns:
        For each structure the groups of its molecules: one, unless it is a pair or a cell that
        was not allowed to join them; none if one of its molecules has no structure of its own,
        so that nobody can tell what it is.
    """
    formulas = DisjointSet()
    formula_of: dict[str, str] = {}
    compounds = []
    own: dict[int, str] = {}
    for index, structure in enumerate(structures):
        if len(structure) == 1:
            continue
        if is_compound(structure):
            compounds.append(index)
            continue
        own[index] = composition(structure)
        formulas.add(own[index])
        for molecule in molecules_of(structure):
            formulas.merge(formula_of.setdefault(molecule, own[index]), own[index])
    largest = max(_LARGEST_AT_LEAST, int(_LARGEST_SHARE * len(formulas)))
    touched: dict[int, list[str]] = {index: [formula] for index, formula in own.items()}
    for index in (compounds[i] for i in rng.permutation(len(compounds))):
        molecules = molecules_of(structures[index])
        if not all(molecule in formula_of for molecule in molecules):
            continue
        touched[index] = [formula_of[molecule] for molecule in molecules]
        roots = {formulas[formula] for formula in touched[index]}
        if sum(formulas.subset_size(root) for root in roots) <= largest:
            for root in roots:
                formulas.merge(root, touched[index][0])
    numbers = {
        formula: number for number, group in enumerate(formulas.subsets()) for formula in group
    }
    return [
        frozenset(numbers[formula] for formula in touched.get(index, ()))
        for index in range(len(structures))
    ]
