"""Is a data set sound? Everything that is wrong with it, structure by structure."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlffd.structures.hdf5_file import hdf5_errors, open_hdf5
from mlffd.structures.hdf5_schema import (
    CELLS,
    ENERGY,
    FORCES,
    NUMBERS,
    POSITIONS,
    SPLITS,
    STRESS,
    Violation,
    read_layout,
    read_metadata,
    unit_violations,
)
from mlffd.structures.neighbours import find_neighbours
from mlffd.structures.records import Record, blocks, read_records
from mlffd.structures.structure import Structure

__all__ = ["Violation", "validate_dataset"]

LAST_ELEMENT = 118
#: Å. The shortest bond, H-H, has 0.74 Å; nothing at 1000 K comes closer than half of it.
CLOSEST = 0.3
#: Å between opposite faces of a cell: less than the size of any atom.
THINNEST = 0.1
#: eV/Å. Thermal structures stay below 50, a repulsive wall that is hit hard below a few hundred.
LARGEST_FORCE = 1e3
#: eV/Å, root mean square of a structure's force components, of the median structure. At 1000 K it
#: is near 2, in structures that were pulled and pressed a few; in kcal/mol/Å it is 23 times that.
LARGEST_TYPICAL_FORCE = 10.0
#: eV/Å per square root of an atom. The forces of an energy that depends on nothing but relative
#: positions add up to zero. Teachers that predict forces directly miss that by independent errors
#: of some 0.01 eV/Å an atom, so that the sum grows with the root of the number of atoms. Forces
#: that were shifted against the atoms, or set to zero on fixed atoms, miss it by far more.
LARGEST_NET_FORCE = 0.1
#: Å. Neighbours are searched within more than `CLOSEST`: with few atoms in many bins the bins
#: would take longer than the atoms.
_SEARCH = 1.5


def validate_dataset(path: Path | str, *, labelled: bool = False) -> list[Violation]:
    """Everything that is wrong with a data set, in the order of its structures.

    Read in a stream; only some 50 bytes a structure are kept, to find duplicates. If columns are
    missing or splits do not fit, nobody knows which atoms belong to which structure: then only
    these are reported.

    Args:
        path: the HDF5 file.
        labelled: whether it is meant to have energies and forces.

    Raises:
        InputError: it cannot be opened as HDF5, or points outside itself.
    """
    path = Path(path)
    with open_hdf5(path) as file, hdf5_errors(path):
        layout = read_layout(file)
        missing, wrong = unit_violations(read_metadata(file))
        violations = [*missing, *wrong, *layout.violations]
        if layout.violations:
            return violations
        if len(layout.splits) == 1:
            violations.append(Violation(None, SPLITS.key, "there are no structures"))
        if labelled and not layout.is_labelled:
            violations.append(Violation(None, ENERGY.key, "there are no labels"))
        seen: dict[bytes, int] = {}
        force_sizes: list[float] = []
        for start, stop in blocks(layout.splits):
            for record in read_records(layout, start, stop):
                violations += _structure_violations(record)
                violations += _label_violations(record)
                force_sizes += _force_sizes(record)
                first = seen.setdefault(_digest(record), record.index)
                if first != record.index:
                    message = f"the same atoms at the same positions as structure {first}"
                    violations.append(Violation(record.index, POSITIONS.key, message))
        violations += _typical_force_violations(force_sizes)
    return violations


def _force_sizes(record: Record) -> Iterator[float]:
    """Root mean square in eV/Å; of an atom alone, which has no forces, nothing."""
    if record.forces is not None and len(record.forces) > 1:
        with np.errstate(over="ignore"):
            yield float(np.sqrt((record.forces**2).mean()))


def _typical_force_violations(sizes: list[float]) -> Iterator[Violation]:
    """Of forces that are large everywhere: no single one of them needs to be wrong."""
    finite = [size for size in sizes if np.isfinite(size)]  # others are reported one by one
    typical = float(np.median(finite)) if finite else 0.0
    if typical > LARGEST_TYPICAL_FORCE:
        message = (
            f"of half of the structures have a root mean square of {typical:.3g} eV/Å and more, "
            f"expected at most {LARGEST_TYPICAL_FORCE:g}: perhaps they are in kcal/mol/Å"
        )
        yield Violation(None, FORCES.key, message)


def _structure_violations(record: Record) -> Iterator[Violation]:
    index = record.index
    if not len(record.numbers):
        yield Violation(index, SPLITS.key, "has no atoms")
        return
    strange = (record.numbers < 1) | (record.numbers > LAST_ELEMENT)
    if strange.any():
        atom = int(strange.argmax())
        message = (
            f"atom {atom} has atomic number {record.numbers[atom]}, expected 1 to {LAST_ELEMENT}"
        )
        yield Violation(index, NUMBERS.key, message)
    finite = bool(np.isfinite(record.positions).all())
    if not finite:
        yield Violation(index, POSITIONS.key, _not_finite(record.positions))
    cell_problem = _cell_problem(record)
    if cell_problem:
        yield Violation(index, CELLS.key, cell_problem)
    if finite and not cell_problem:
        yield from _too_close(record)


def _cell_problem(record: Record) -> str | None:
    """Why the cell cannot repeat; periodic directions are all that matters."""
    if not np.isfinite(record.cell).all():
        return _not_finite(record.cell)
    vectors = record.cell[record.pbc]
    if not len(vectors):
        return None
    if np.linalg.matrix_rank(vectors) < len(vectors):
        return "periodic, but the cell's periodic vectors are missing or linearly dependent"
    # The rows of the pseudo-inverse's transpose are the reciprocal vectors.
    heights = 1 / np.linalg.norm(np.linalg.pinv(vectors), axis=0)
    if heights.min() < THINNEST:
        return f"opposite faces are {heights.min():.3g} Å apart, expected at least {THINNEST} Å"
    return None


def _too_close(record: Record) -> Iterator[Violation]:
    structure = Structure(
        record.numbers, record.positions, cell=record.cell, pbc=record.pbc, name=record.name
    )
    edges, shifts = find_neighbours(structure, _SEARCH)
    source, destination = edges
    vectors = structure.positions[source] - structure.positions[destination] + shifts
    distances = np.linalg.norm(vectors, axis=1)
    if len(distances) and distances.min() < CLOSEST:
        pair = int(distances.argmin())
        # Each pair is there twice; an atom can come too close to its own image.
        first, second = sorted((int(source[pair]), int(destination[pair])))
        message = (
            f"atoms {first} and {second} are {distances[pair]:.3g} Å apart, "
            f"expected at least {CLOSEST} Å ({(distances < CLOSEST).sum() // 2} such pairs)"
        )
        yield Violation(record.index, POSITIONS.key, message)


def _label_violations(record: Record) -> Iterator[Violation]:
    index = record.index
    if record.energy is not None and not np.isfinite(record.energy):
        yield Violation(index, ENERGY.key, f"is {record.energy}, expected a finite number")
    if record.stress is not None and not np.isfinite(record.stress).all():
        yield Violation(index, STRESS.key, _not_finite(record.stress))
    if record.forces is None or not len(record.forces):
        return
    if not np.isfinite(record.forces).all():
        yield Violation(index, FORCES.key, _not_finite(record.forces))
        return
    sizes = np.linalg.norm(record.forces, axis=1)
    if sizes.max() > LARGEST_FORCE:
        message = (
            f"{sizes.max():.3g} eV/Å on atom {sizes.argmax()}, expected at most {LARGEST_FORCE:g}"
        )
        yield Violation(index, FORCES.key, message)
    net = float(np.linalg.norm(record.forces.sum(axis=0)))
    limit = LARGEST_NET_FORCE * len(sizes) ** 0.5
    if net > limit:
        message = f"add up to {net:.3g} eV/Å, expected zero within {limit:.3g} eV/Å"
        yield Violation(index, FORCES.key, message)


def _not_finite(array: np.ndarray) -> str:
    return f"{int((~np.isfinite(array)).sum())} of {array.size} numbers are not finite"


def _digest(record: Record) -> bytes:
    """The same for structures that are the same to the last bit, labels and name aside."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (record.numbers, record.positions, record.cell, record.pbc):
        digest.update(array.tobytes())
    return digest.digest()
