"""One molecule by itself: hot, cold, rattled and scanned."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mlffd.distill.conformers import embed, relax
from mlffd.distill.molecules import Molecule
from mlffd.distill.scans import scan
from mlffd.distill.thermal import rattled, thermal
from mlffd.structures.structure import FloatArray, Structure

#: The family of molecules that are here for their size.
LARGE = "large"

#: Structures by temperature in K of a usual molecule, and of a large one. Students are used at 300
#: to 500 K; what is hotter is there so that dynamics do not leave what they know.
TEMPERATURES = {300: 3, 500: 3, 700: 1, 1000: 1}
LARGE_TEMPERATURES = {300: 2, 500: 1}

#: Molecules of up to so many atoms get twice as much: they cost little, and few atoms say little.
SMALL = 8

#: MMFF's minima differ from the teacher's: of up to so many atoms, half of the molecules are
#: relaxed by some steps on the teacher's surface.
LARGEST_RELAXED = 30
RELAXATION_STEPS = (8, 16)

#: Å, between which the standard deviations of rattled positions are.
RATTLES = (0.02, 0.08)

#: The part of molecules that is scanned, and the points of a scan.
SCANNED = 1 / 3
POINTS = 5


def alone(molecule: Molecule, rng: np.random.Generator) -> Iterator[Structure]:
    """The structures of one molecule; of a large one only thermal structures.

    Args:
        molecule: what to make them of.
        rng: decides everything that is random.

    Raises:
        InputError: see `embed`.
    """
    is_large = molecule.family == LARGE
    conformers = embed(molecule, rng, most=1 if is_large else 3)
    minima = conformers.minima
    size = len(conformers.numbers)
    copies = 2 if size <= SMALL else 1
    seen: Counter[str] = Counter()

    def named(kind: str, positions: FloatArray) -> Structure:
        seen[kind] += 1
        name = f"{molecule.name}/{kind}-{seen[kind] - 1}"
        return Structure(numbers=conformers.numbers, positions=positions, name=name)

    hot: list[FloatArray] = []
    for temperature, count in (LARGE_TEMPERATURES if is_large else TEMPERATURES).items():
        minimum = minima[rng.integers(len(minima))]
        found = thermal(conformers, minimum, temperature, copies * count, rng)
        yield from (named(f"{temperature}K", positions) for positions in found)
        hot += found
    if is_large:
        return
    for _ in range(copies):
        base, kind = minima[rng.integers(len(minima))], "min"
        if conformers.is_teachers:
            kind = "relaxed"
        elif size <= LARGEST_RELAXED and rng.random() < 0.5:
            base = relax(conformers.numbers, base, steps=int(rng.integers(*RELAXATION_STEPS)))
            kind = "relaxed"
        if not seen[kind]:
            yield named(kind, base)
        yield named("rattle", rattled(conformers, base, rng.uniform(*RATTLES), rng))
        if hot and rng.random() < 0.5:
            start = hot[rng.integers(len(hot))]
            yield named("rattle", rattled(conformers, start, rng.uniform(*RATTLES), rng))
        if rng.random() < SCANNED:
            seen["scan"] += 1
            for point, positions in enumerate(scan(conformers, base, POINTS, rng)):
                name = f"{molecule.name}/scan-{seen['scan'] - 1}-{point:02d}"
                yield Structure(numbers=conformers.numbers, positions=positions, name=name)
