"""Batches that tell whether two ways to run a student agree: usual sizes, and unusual ones.

Structures of the usual cases all have an even number of atoms, four or more, and none of their
atoms is alone: what goes wrong only for other sizes shows in the unusual cases only, and what goes
wrong there only is a matter of sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice, product

import numpy as np

from mlffd.errors import InputError
from mlffd.structures import probes
from mlffd.structures.structure import FloatArray, Structure

_GAP = 2.0  # Å between molecules: they feel each other, and none is squeezed
_RATTLE = 0.01  # Å; the molecules are rattled already
_FAR = 30.0  # Å, beyond any cutoff in use
_CLUSTER = 64  # atoms
_MEMBER = 4  # atoms, at most, of the molecules that large systems are packed from
_MANY = 65  # more structures than any other case has
_SIZES = (1000, 1, 187, 2, 3)  # atoms; small after large, so that what is left over shows


@dataclass(frozen=True, eq=False)
class ProbeCase:
    """Structures to evaluate as one batch.

    Attributes:
        name: for reports.
        structures: in order.
        usual: whether the sizes are those of every day.
    """

    name: str
    structures: tuple[Structure, ...]
    usual: bool


def probed_elements(trained: frozenset[int] | None) -> frozenset[int]:
    """What cases are made of: the usual elements among the trained ones, or else all trained.

    Args:
        trained: atomic numbers; None: nobody knows.

    Raises:
        InputError: not one element was trained.
    """
    if trained is None:
        return probes.ELEMENTS
    if not trained:
        raise InputError("no element was trained: nothing to compare on")
    return (trained & probes.ELEMENTS) or trained


def probe_cases(
    elements: frozenset[int], *, periodic: bool, symmetric: bool = True
) -> tuple[ProbeCase, ...]:
    """The cases, the same ones in every run; the usual ones first.

    Args:
        elements: that they are made of.
        periodic: False leaves out what has a cell.
        symmetric: False leaves out molecules with a vanishing vector feature, where the forces of
            some students are not defined.
    """
    molecules = probes.molecules(elements)[1:]  # without the row of all of them
    crystals = probes.crystals(elements) if periodic else []
    return (
        *_usual(elements, molecules, crystals, symmetric=symmetric),
        *_unusual(elements, molecules, crystals),
    )


def _usual(
    elements: frozenset[int],
    molecules: Sequence[Structure],
    crystals: Sequence[Structure],
    *,
    symmetric: bool,
) -> list[ProbeCase]:
    pairs = [_doubled(molecule) for molecule in molecules]
    cluster = _packed(molecules, _CLUSTER)
    found = {
        "one structure": [pairs[0]],
        "a batch of molecules": pairs,
        f"{_CLUSTER} atoms": [cluster],
    }
    if symmetric:
        found["straight molecules"] = [_straight(elements)]
    if crystals:
        found["cells smaller than the cutoff"] = [c for c in crystals if len(c) % 2 == 0]
        found[f"a cell of {_CLUSTER} atoms"] = [_packed(molecules, _CLUSTER, periodic=True)]
        found["cells and molecules"] = [pairs[-1], crystals[0], pairs[0]]
    return [ProbeCase(name, tuple(members), usual=True) for name, members in found.items()]


def _unusual(
    elements: frozenset[int], molecules: Sequence[Structure], crystals: Sequence[Structure]
) -> list[ProbeCase]:
    lone = [probes.atom(number) for number in sorted(elements)]
    smallest, largest = molecules[-1], molecules[0]
    found = {_atoms(count): [_of_size(molecules, lone[0], count)] for count in _SIZES}
    found["an odd molecule"] = [next(m for m in _some(molecules) if len(m) % 2)]
    found["an even molecule"] = [next(m for m in _some(molecules) if not len(m) % 2)]
    found["isolated atoms first, in the middle and last"] = [
        *(lone[0], largest, lone[-1], lone[0], smallest, _doubled(largest), lone[0])
    ]
    found["no edges"] = [*lone, probes.pair(min(elements), max(elements), _FAR)]
    # Rattled more, one hydrogen molecule of so many is squeezed to 0.45 Å sooner or later, where
    # forces of 90 eV/Å hide what this is about.
    found[f"{_MANY} structures"] = [
        probes.rattled(smallest, seed, _RATTLE) for seed in range(_MANY)
    ]
    if crystals:
        found["odd cells smaller than the cutoff"] = [c for c in crystals if len(c) % 2]
        alone = Structure(
            lone[0].numbers, lone[0].positions, cell=_FAR * np.eye(3), pbc=np.ones(3, dtype=bool)
        )
        found["isolated atoms, molecules and cells"] = [alone, crystals[0], lone[0], smallest]
        found["no edges in a cell"] = [alone]
    return [ProbeCase(name, tuple(members), usual=False) for name, members in found.items()]


def _atoms(count: int) -> str:
    return "1 atom" if count == 1 else f"{count:,} atoms"


def _some(molecules: Sequence[Structure]) -> list[Structure]:
    """Molecules of four atoms or more, of odd and of even size, whatever there is."""
    return [*(m for m in molecules if len(m) > 3), _packed(molecules, 9), _packed(molecules, 8)]


def _of_size(molecules: Sequence[Structure], lone: Structure, count: int) -> Structure:
    if count == 1:
        return lone
    return next((m for m in molecules if len(m) == count), None) or _packed(molecules, count)


def _doubled(molecule: Structure) -> Structure:
    """A molecule beside another of its kind: an even number of atoms."""
    x = molecule.positions[:, 0]
    beside = np.array([np.ptp(x) + _GAP, 0.0, 0.0])
    name = f"2 {molecule.name}"
    return probes.rattled(
        probes.joined(molecule, probes.moved(molecule, beside), name=name), 1, _RATTLE
    )


def _straight(elements: frozenset[int]) -> Structure:
    """Twice a molecule along z in whose middle vector features vanish to the last bit."""
    offered = [s for s in probes.symmetric(elements) if len(s) == 3]
    # Known molecules come last, and CO2, if it can be made, first of them.
    molecule = next((s for s in offered if len(set(s.numbers.tolist())) > 1), offered[-1])
    away = np.array([_FAR, 0.0, 0.0])
    return probes.joined(molecule, probes.moved(molecule, away), name=f"2 {molecule.name}")


def _packed(molecules: Sequence[Structure], count: int, *, periodic: bool = False) -> Structure:
    """So many atoms: small molecules of all kinds on a grid, and lone atoms to make up the number.

    Args:
        molecules: to choose from; two atoms is the size of the smallest.
        count: how many atoms.
        periodic: whether the grid repeats; its cell is skewed.
    """
    members: list[Structure] = []
    for member in cycle([m for m in molecules if len(m) <= _MEMBER]):
        left = count - sum(map(len, members))
        if left == 0:
            break
        lone = probes.atom(member.numbers[0])
        members.append(next((m for m in (member, *molecules) if len(m) <= left), lone))
    step = max(np.ptp(m.positions, axis=0).max() for m in members) + _GAP
    edge = int(np.ceil(len(members) ** (1 / 3)))
    sites = list(islice(product(range(edge), repeat=3), len(members)))
    middle = (edge - 1) / 2  # coordinates as small as they can be: float32 rounds large ones more
    numbers = np.concatenate([m.numbers for m in members])
    positions = np.concatenate(
        [
            m.positions - m.positions.mean(axis=0) + step * (np.array(site) - middle)
            for m, site in zip(members, sites, strict=True)
        ]
    )
    name = f"{count} atoms"
    if not periodic:
        return probes.rattled(Structure(numbers, positions, name=name), 2, _RATTLE)
    cell: FloatArray = step * edge * np.array([[1.0, 0.0, 0.0], [0.1, 1.0, 0.0], [0.0, 0.2, 1.0]])
    packed = Structure(
        numbers, positions, cell=cell, pbc=np.ones(3, dtype=bool), name=f"{name} in a cell"
    )
    return probes.rattled(packed, 2, _RATTLE)
