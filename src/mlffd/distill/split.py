"""Parting labelled structures by molecule: what is trained on says nothing of what is tested."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlffd.distill.grouping import group_structures, is_compound
from mlffd.distill.picking import pick
from mlffd.distill.stratification import assign, strata
from mlffd.environment import command_line
from mlffd.errors import InputError
from mlffd.files import require_new_folder, write_folder_atomically
from mlffd.structures.composition import composition
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.naming import THERMAL, kind_of, molecules_of
from mlffd.structures.structure import Structure

#: What is written, in this order: each is a file of this name and ``.h5``.
PARTS = ("train", "validation", "conformers", "test", "golden")

#: Why a pair or a cell is in none of them.
UNKNOWN = "pairs and cells of a molecule that has no structure of its own"
STRADDLING = "pairs and cells of molecules that were parted"
ELSEWHERE = "pairs and cells with the formula of something in another part"

_TRAIN, _VALIDATION, _TEST = range(3)

#: Å, root mean square over atoms: what is rattled moves less.
_RATTLED = 0.25

#: Shares of the golden set by category; the rest is mild.
_GOLDEN_QUOTAS = {
    "atom": 0.03,
    "large": 0.04,
    "periodic": 0.08,
    "scan": 0.12,
    "small": 0.08,
    "pair": 0.05,
    "hot": 0.10,
    "other": 0.06,
}
#: Of the test set: mostly thermal, for that is what errors are quoted on.
_TEST_QUOTAS = {
    "large": 0.01,
    "periodic": 0.02,
    "scan": 0.04,
    "small": 0.04,
    "pair": 0.02,
    "hot": 0.15,
    "other": 0.04,
}


@dataclass(frozen=True)
class Sizes:
    """How much goes where.

    Attributes:
        validation: share of the molecules.
        test: share of the molecules; training gets what the two leave.
        conformers: share of the thermal structures of training molecules that is held out.
        test_structures: how many structures of test molecules are chosen for the test set.
        golden_structures: and how many others for the golden set.

    Raises:
        InputError: a share is not between 0 and 1, nothing is left to train on, or a number is
            not positive.
    """

    validation: float = 0.06
    test: float = 0.14
    conformers: float = 0.04
    test_structures: int = 500
    golden_structures: int = 100

    def __post_init__(self) -> None:
        for key in ("validation", "test", "conformers"):
            if not 0 < (share := getattr(self, key)) < 1:
                raise InputError(f"{key}: {share:g}, expected a share between 0 and 1")
        for key in ("test_structures", "golden_structures"):
            if (count := getattr(self, key)) < 1:
                raise InputError(f"{key}: {count}, expected at least 1")
        if self.validation + self.test >= 1:
            raise InputError("validation and test: together all molecules, none left to train on")


@dataclass(frozen=True)
class Split:
    """Structures, parted.

    Attributes:
        parts: by name, see `PARTS`, in the order in which they were.
        dropped: how many structures are in no part, by reason.
        unused: structures of test molecules that were not chosen.
    """

    parts: Mapping[str, Sequence[Structure]]
    dropped: Mapping[str, int]
    unused: int


def split_structures(structures: Sequence[Structure], *, seed: int, sizes: Sizes) -> Split:
    """Part structures so that no formula of test or golden occurs in any other part.

    A formula of validation does not occur in train either. Single atoms are exempt: they go to
    train, and some also to golden. Held-out conformers are of training molecules, and from the
    same dynamics as their neighbours in train: they show how well a student interpolates.

    The same arguments give the same parts.

    Args:
        structures: labelled, named as `mlffd data generate` does; those of other names are
            grouped by formula alone.
        seed: of everything that is random.
        sizes: how much goes where.

    Raises:
        InputError: nothing is left for one of the parts.
    """
    rng = np.random.default_rng(seed)
    groups = group_structures(structures, rng)
    places = _places(structures, groups, sizes, rng)
    reasons = {
        index: reason
        for index in range(len(structures))
        if index not in places and (reason := _why_dropped(structures[index], groups[index]))
    }
    reasons |= dict.fromkeys(_of_another_place(structures, places), ELSEWHERE)
    found: dict[int, list[int]] = {_TRAIN: [], _VALIDATION: [], _TEST: []}
    for index, place in places.items():
        if index not in reasons:
            found[place].append(index)
    atoms = [index for index, structure in enumerate(structures) if len(structure) == 1]
    conformers = _hold_out(structures, found[_TRAIN], sizes.conformers, rng)
    tested = found[_TEST]
    golden = pick(structures, tested + atoms, sizes.golden_structures, _GOLDEN_QUOTAS, rng)
    remaining = sorted(set(tested) - set(golden))
    test = pick(structures, remaining, sizes.test_structures, _TEST_QUOTAS, rng)
    parts = {
        "train": sorted({*found[_TRAIN], *atoms} - set(conformers)),
        "validation": found[_VALIDATION],
        "conformers": conformers,
        "test": test,
        "golden": golden,
    }
    for name, indices in parts.items():
        if not set(indices) - set(atoms):
            raise InputError(f"{name}: no structure is left for it: too few molecules")
    return Split(
        parts={name: [structures[i] for i in indices] for name, indices in parts.items()},
        dropped=Counter(reasons.values()),
        unused=len(remaining) - len(test),
    )


def _places(
    structures: Sequence[Structure],
    groups: Sequence[frozenset[int]],
    sizes: Sizes,
    rng: np.random.Generator,
) -> dict[int, int]:
    """Train, validation or test for the index of every structure whose groups agree on it."""
    names = sorted({name for structure in structures for name in strata(structure)})
    columns = {name: column for column, name in enumerate(names)}
    count = 1 + max((number for touched in groups for number in touched), default=-1)
    counts: NDArray[np.int64] = np.zeros((count, len(names)), dtype=np.int64)
    for structure, touched in zip(structures, groups, strict=True):
        if len(touched) == 1:
            counts[min(touched), [columns[name] for name in strata(structure)]] += 1
    shares = (1 - sizes.validation - sizes.test, sizes.validation, sizes.test)
    assigned = assign(counts, shares, rng)
    places = {}
    for index, touched in enumerate(groups):
        if len(met := {int(assigned[number]) for number in touched}) == 1:
            places[index] = met.pop()
    return places


def _why_dropped(structure: Structure, touched: frozenset[int]) -> str | None:
    """Why a structure has no place; None: it is a single atom, which needs none."""
    if len(structure) == 1:
        return None
    return STRADDLING if touched else UNKNOWN


def _of_another_place(structures: Sequence[Structure], places: Mapping[int, int]) -> list[int]:
    """Pairs and cells whose formula is found elsewhere too; a molecule has the older claim."""
    claims: dict[str, int] = {}
    found = []
    for index in sorted(places, key=lambda i: is_compound(structures[i])):
        place = claims.setdefault(composition(structures[index]), places[index])
        if place != places[index]:
            found.append(index)
    return found


def _hold_out(
    structures: Sequence[Structure],
    indices: Sequence[int],
    share: float,
    rng: np.random.Generator,
) -> list[int]:
    """Thermal structures without a rattled copy, of molecules that keep at least as many."""
    rattled: dict[tuple[str, ...], list[Structure]] = {}
    for structure in (structures[i] for i in indices):
        if kind_of(structure) == "rattle":
            rattled.setdefault(molecules_of(structure), []).append(structure)
    thermal = [i for i in indices if kind_of(structures[i]) == THERMAL]
    kept = Counter(molecules_of(structures[i]) for i in thermal)
    held: Counter[tuple[str, ...]] = Counter()
    chosen: list[int] = []
    for index in (thermal[i] for i in rng.permutation(len(thermal))):
        if len(chosen) >= round(share * len(thermal)):
            break
        molecule = molecules_of(structures[index])
        has_copy = any(_is_near(structures[index], copy) for copy in rattled.get(molecule, ()))
        if not has_copy and held[molecule] + 1 < kept[molecule]:
            held[molecule] += 1
            kept[molecule] -= 1
            chosen.append(index)
    return sorted(chosen)


def _is_near(first: Structure, second: Structure) -> bool:
    """Whether rattling one may have made the other."""
    if not np.array_equal(first.numbers, second.numbers):
        return False
    moved = np.linalg.norm(first.positions - second.positions, axis=1)
    return float(np.sqrt((moved**2).mean())) < _RATTLED


def write_split(
    source: Path, folder: Path, *, seed: int, sizes: Sizes
) -> tuple[Split, dict[str, str]]:
    """Part a labelled data set, and write all parts or, if anything goes wrong, none.

    Args:
        source: the HDF5 file.
        folder: is made; it may be there if it is empty.
        seed: see `split_structures`.
        sizes: see `split_structures`.

    Returns:
        The parts, and the fingerprint of each as a data set.

    Raises:
        InputError: the source is no labelled data set, the folder holds something or cannot be
            written, or nothing is left for one of the parts.
    """
    require_new_folder(folder)
    with Dataset(source) as dataset:
        if not dataset.is_labelled:
            raise InputError(f"{source}: has no labels; see `mlffd data label`")
        structures = list(dataset)
        metadata = {**dataset.metadata, "split_source": dataset.fingerprint}
    try:
        split = split_structures(structures, seed=seed, sizes=sizes)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    metadata |= {"split_seed": seed, "split_command": command_line()}
    fingerprints = {}

    def write(aside: Path) -> None:
        for name in PARTS:
            path = aside / f"{name}.h5"
            write_dataset(path, split.parts[name], metadata={**metadata, "split": name})
            with Dataset(path) as written:
                fingerprints[name] = written.fingerprint

    write_folder_atomically(folder, write)
    return split, fingerprints
