"""The layout of a data set in HDF5: its columns, splits and units.

Structures have different numbers of atoms, so that whatever belongs to atoms is concatenated and
``splits`` say where each structure begins: structure k owns rows ``splits[k]:splits[k + 1]``.
"""

from dataclasses import dataclass
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from mlffd.structures.hdf5_file import check_storage, find_member

IntArray = NDArray[np.int64]
Metadata = dict[str, str | int | float]


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with a data set.

    Attributes:
        index: of the structure; None if it concerns the whole file.
        key: which column or attribute.
        message: what is there and what was expected.
    """

    index: int | None
    key: str
    message: str

    def __str__(self) -> str:
        where = "" if self.index is None else f"structure {self.index}: "
        return f"{self.key}: {where}{self.message}"


@dataclass(frozen=True)
class Column:
    """A data set of the schema.

    Attributes:
        key: its path in the file.
        rows: what it has one row for; splits have one more than there are structures.
        trailing: the shape of a row.
        dtype: what it is written as, and converted to when read.
        kinds: the NumPy kinds of number that are accepted.
    """

    key: str
    rows: Literal["atoms", "structures", "splits"]
    trailing: tuple[int, ...]
    dtype: str
    kinds: str


NUMBERS = Column("structures/atomic_numbers", "atoms", (), "<i8", "iu")
POSITIONS = Column("structures/positions", "atoms", (3,), "<f8", "f")
CELLS = Column("structures/cells", "structures", (3, 3), "<f8", "f")
PBC = Column("structures/pbc", "structures", (3,), "|b1", "biu")
SPLITS = Column("structures/atomic_numbers_splits", "splits", (), "<i8", "iu")
ENERGY = Column("labels/energy", "structures", (), "<f8", "f")
FORCES = Column("labels/forces", "atoms", (3,), "<f8", "f")
FORCES_SPLITS = Column("labels/forces_splits", "splits", (), "<i8", "iu")
STRESS = Column("labels/stress", "structures", (6,), "<f8", "f")
STRESS_MASK = Column("labels/stress_mask", "structures", (), "|b1", "biu")

STRUCTURE_COLUMNS = (NUMBERS, POSITIONS, CELLS, PBC, SPLITS)
LABEL_COLUMNS = (ENERGY, FORCES, FORCES_SPLITS, STRESS, STRESS_MASK)
#: A file made by others may hold labels without any stress.
_OPTIONAL = (STRESS, STRESS_MASK)
#: Variable-length UTF-8 strings, one a structure; files made by others have none.
NAMES_KEY = "structures/names"

#: Stress is in Voigt order xx, yy, zz, yz, xz, xy, positive under tension, as in ASE.
VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))

#: The attributes of ``metadata`` that say what the numbers mean, and the only accepted values.
UNITS = {
    "energy_unit": "eV",
    "length_unit": "Angstrom",
    "forces_unit": "eV/Angstrom",
    "stress_unit": "eV/Angstrom^3",
}

_PLAIN_TYPES = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeStringID)


@dataclass(frozen=True)
class Layout:
    """What an open file holds.

    Attributes:
        columns: the data sets that are there, by key.
        splits: ``[M + 1]``; meaningless if there are violations.
        violations: why structures cannot be read; empty if they can.
    """

    columns: dict[str, h5py.Dataset]
    splits: IntArray
    violations: list[Violation]

    @property
    def is_labelled(self) -> bool:
        """Whether structures have energies and forces."""
        return ENERGY.key in self.columns


def read_layout(file: h5py.File) -> Layout:
    """Find the columns of the schema and see whether they fit together.

    Raises:
        InputError: data lie in other files or claim sizes that they cannot have.
    """
    columns, violations = _find_columns(file)
    check_storage(file, columns.values())
    violations = violations or _shape_violations(columns)
    splits = np.zeros(1, dtype=np.int64)
    if not violations:
        splits, violations = _read_splits(columns)
    return Layout(columns, splits, violations)


def _find_columns(file: h5py.File) -> tuple[dict[str, h5py.Dataset], list[Violation]]:
    """The data sets that are there, and violations for those that should be."""
    expected = list(STRUCTURE_COLUMNS)
    if find_member(file, "labels") is not None:
        expected += LABEL_COLUMNS
    found = {
        key: member
        for key in [*(column.key for column in expected), NAMES_KEY]
        if (member := find_member(file, key)) is not None
    }
    columns = {key: member for key, member in found.items() if isinstance(member, h5py.Dataset)}
    violations = [
        Violation(None, key, "is a group, expected a data set")
        for key in found
        if key not in columns
    ]
    optional = {column.key for column in _OPTIONAL}
    if optional & columns.keys():
        optional = set()
    violations += [
        Violation(None, column.key, "is missing")
        for column in expected
        if column.key not in found and column.key not in optional
    ]
    return columns, violations


def _shape_violations(columns: dict[str, h5py.Dataset]) -> list[Violation]:
    """Columns of another shape or type than the schema's, or of disagreeing lengths."""
    violations = []
    lengths = {
        "atoms": _length(columns[NUMBERS.key]),
        "structures": _length(columns[CELLS.key]),
    }
    present = [c for c in (*STRUCTURE_COLUMNS, *LABEL_COLUMNS) if c.key in columns]
    for column in present:
        dataset = columns[column.key]
        if dataset.dtype.kind not in column.kinds:
            violations.append(
                Violation(None, column.key, f"has type {dataset.dtype}, expected {column.dtype}")
            )
        rows = lengths.get(column.rows, _length(dataset))
        if dataset.shape != (rows, *column.trailing):
            expected = (rows, *column.trailing)
            violations.append(
                Violation(None, column.key, f"has shape {dataset.shape}, expected {expected}")
            )
    if NAMES_KEY in columns:
        names = columns[NAMES_KEY]
        if h5py.check_string_dtype(names.dtype) is None or names.shape != (lengths["structures"],):
            violations.append(
                Violation(None, NAMES_KEY, f"expected {lengths['structures']} strings")
            )
    return violations


def _length(dataset: h5py.Dataset) -> int:
    return int(dataset.shape[0]) if dataset.shape else 0


def _read_splits(columns: dict[str, h5py.Dataset]) -> tuple[IntArray, list[Violation]]:
    """``[M + 1]`` splits; those of the forces must be the same."""
    structures, atoms = len(columns[CELLS.key]), len(columns[NUMBERS.key])
    found: list[IntArray] = []
    violations: list[Violation] = []
    present = [key for key in (SPLITS.key, FORCES_SPLITS.key) if key in columns]
    for key in present:
        splits = complete_splits(columns[key][()].astype(np.int64), key, structures, atoms)
        if isinstance(splits, Violation):
            violations.append(splits)
        else:
            found.append(splits)
    if len(found) == 2 and (found[0] != found[1]).any():
        # The first structure whose end differs.
        index = int(np.flatnonzero(found[0] != found[1])[0]) - 1
        violations.append(
            Violation(index, FORCES_SPLITS.key, f"disagrees with {SPLITS.key} on where it ends")
        )
    return (np.zeros(1, dtype=np.int64) if violations else found[0]), violations


def complete_splits(
    stored: IntArray, key: str, structures: int, atoms: int
) -> IntArray | Violation:
    """Splits with ``structures + 1`` entries, from 0 to ``atoms``, or what is wrong with them.

    Some writers leave out the first or the last entry. What is left is either all starts (it
    begins with 0) or all ends (it ends with the number of atoms). If it is both, one structure
    is empty and nobody can tell which.
    """
    if len(stored) == structures + 1:
        candidates = [stored]
    elif len(stored) == structures:
        candidates = [np.append(stored, atoms), np.insert(stored, 0, 0)]
        if len(stored) and stored[0] != 0:
            candidates.reverse()  # the first is the one that was meant
    else:
        expected = f"expected {structures + 1} (or {structures}) for {structures} structures"
        return Violation(None, key, f"has {len(stored)} entries, {expected}")
    faults = [_first_fault(candidate, key, atoms) for candidate in candidates]
    good = [c for c, fault in zip(candidates, faults, strict=True) if fault is None]
    if not good:
        return faults[0] or Violation(None, key, "inconsistent")
    if len(good) == 2 and (good[0] != good[1]).any():
        return Violation(None, key, "ambiguous: either the first or the last structure is empty")
    return good[0]


def _first_fault(splits: IntArray, key: str, atoms: int) -> Violation | None:
    """The first structure whose rows are not where they can be."""
    starts, ends = splits[:-1], splits[1:]
    bad = np.flatnonzero((starts < 0) | (ends < starts) | (ends > atoms))
    if len(bad):
        first = int(bad[0])
        rows = f"rows {starts[first]}:{ends[first]} of {atoms} atoms"
        return Violation(first, key, f"unsorted or out of range: {rows}")
    if splits[0] != 0:
        return Violation(0, key, f"the first structure begins at row {splits[0]}, expected 0")
    if splits[-1] != atoms:
        last = max(len(splits) - 2, 0)
        return Violation(
            last, key, f"the last structure ends at row {splits[-1]}, but there are {atoms} atoms"
        )
    return None


def unit_violations(metadata: Metadata) -> tuple[list[Violation], list[Violation]]:
    """Units that are missing, and units that are others than the schema's."""
    missing, wrong = [], []
    for name, unit in UNITS.items():
        key = f"metadata/{name}"
        if name not in metadata:
            missing.append(Violation(None, key, f"missing units, expected {unit!r}"))
        elif metadata[name] != unit:
            wrong.append(Violation(None, key, f"is {metadata[name]!r}, expected {unit!r}"))
    return missing, wrong


def read_metadata(file: h5py.File) -> Metadata:
    """The attributes of ``metadata`` that are one number or one text; others are left out.

    Reading an attribute of a damaged compound type can end the process.
    """
    group = find_member(file, "metadata")
    if group is None:
        return {}
    found: Metadata = {}
    for name in group.attrs:
        attribute = group.attrs.get_id(name)
        if attribute.shape == () and isinstance(attribute.get_type(), _PLAIN_TYPES):
            value = group.attrs[name]
            plain = value.item() if isinstance(value, np.generic) else value
            found[name] = plain.decode("utf-8", "replace") if isinstance(plain, bytes) else plain
    return found
