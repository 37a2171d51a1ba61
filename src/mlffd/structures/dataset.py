"""Data sets of structures in HDF5: reading lazily, writing in a stream."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import h5py
import numpy as np

from mlffd.errors import InputError
from mlffd.files import write_atomically
from mlffd.structures.batch import in_chunks
from mlffd.structures.fingerprint import fingerprint
from mlffd.structures.hdf5_file import hdf5_errors, open_hdf5
from mlffd.structures.hdf5_schema import (
    CELLS,
    ENERGY,
    FORCES,
    FORCES_SPLITS,
    LABEL_COLUMNS,
    NAMES_KEY,
    NUMBERS,
    PBC,
    POSITIONS,
    SPLITS,
    STRESS,
    STRESS_MASK,
    STRUCTURE_COLUMNS,
    UNITS,
    VOIGT,
    IntArray,
    Metadata,
    read_layout,
    read_metadata,
    unit_violations,
)
from mlffd.structures.records import (
    BLOCK_ATOMS,
    BLOCK_STRUCTURES,
    Record,
    blocks,
    read_records,
    read_rows,
)
from mlffd.structures.structure import FloatArray, Structure

_CHUNK_ATOMS = 8192
_CHUNK_STRUCTURES = 1024


class Dataset:
    """A sequence of structures in an HDF5 file, which may be larger than memory.

    Opened read-only; structures are read when asked for. Iterating reads contiguous blocks of
    bounded size. Pickling keeps the path and opens the file again.

    Attributes:
        path: the file.
        atom_counts: int64 ``[M]``.
        metadata: the attributes of the file's ``metadata``: units and provenance.
        is_labelled: whether every structure has an energy and forces.

    Raises:
        InputError: it is no HDF5 file, does not have the schema, has other units, its splits do
            not fit, or it points outside itself. Values (NaN, overlapping atoms) are the concern
            of `mlffd.structures.validation`.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            with hdf5_errors(self.path):
                self._layout = read_layout(self._file)
                self.metadata: Metadata = read_metadata(self._file)
            for violation in (*self._layout.violations, *unit_violations(self.metadata)[1]):
                raise InputError(f"{self.path}: {violation}")
        except BaseException:
            self._file.close()
            raise
        self.atom_counts: IntArray = np.diff(self._layout.splits)
        self.is_labelled: bool = self._layout.is_labelled

    def __len__(self) -> int:
        return len(self.atom_counts)

    @overload
    def __getitem__(self, index: int) -> Structure: ...

    @overload
    def __getitem__(self, index: slice) -> list[Structure]: ...

    def __getitem__(self, index: int | slice) -> Structure | list[Structure]:
        if isinstance(index, slice):
            chosen = range(*index.indices(len(self)))
            if chosen.step == 1 and chosen:
                return self._read(chosen.start, chosen.stop)
            return [self[k] for k in chosen]
        position = operator.index(index)
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"structure {index} of {len(self)} in {self.path}")
        return self._read(position, position + 1)[0]

    def __iter__(self) -> Iterator[Structure]:
        for start, stop in blocks(self._layout.splits):
            yield from self._read(start, stop)

    def batches(self, max_atoms: int) -> Iterator[list[Structure]]:
        """Consecutive structures of at most ``max_atoms`` atoms together, read in a stream.

        A larger structure comes alone.
        """
        return in_chunks(self, max_atoms=max_atoms)

    @cached_property
    def elements(self) -> dict[int, int]:
        """How many atoms there are of each atomic number, in ascending order."""
        counts: dict[int, int] = {}
        splits = self._layout.splits
        with hdf5_errors(self.path):
            for start, stop in blocks(splits):
                rows = read_rows(self._layout, NUMBERS, int(splits[start]), int(splits[stop]))
                for number, count in zip(*np.unique(rows, return_counts=True), strict=True):
                    counts[int(number)] = counts.get(int(number), 0) + int(count)
        return dict(sorted(counts.items()))

    @cached_property
    def fingerprint(self) -> str:
        """``sha256:...`` of the content: see `mlffd.structures.fingerprint.fingerprint`."""
        with hdf5_errors(self.path):
            return fingerprint(self._layout)

    def _read(self, start: int, stop: int) -> list[Structure]:
        with hdf5_errors(self.path):
            records = read_records(self._layout, start, stop)
        return [self._structure(record) for record in records]

    def _structure(self, record: Record) -> Structure:
        try:
            return Structure(
                numbers=record.numbers,
                positions=record.positions,
                cell=record.cell if record.cell.any() else None,
                pbc=record.pbc,
                energy=record.energy,
                forces=record.forces,
                stress=None if record.stress is None else _full_stress(record.stress),
                name=record.name,
            )
        except InputError as error:
            raise InputError(f"{self.path}: structure {record.index}: {error}") from error

    def close(self) -> None:
        """Close the file; what was read stays."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path.absolute(),)

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}): {len(self)} structures"


def write_dataset(
    path: Path | str,
    structures: Iterable[Structure],
    *,
    metadata: Mapping[str, str | int | float],
) -> int:
    """Write structures in a stream, so that they need not fit into memory; whole or not at all.

    Args:
        path: the file; an old one is replaced.
        structures: all with an energy and forces, or all without labels. Stress may be partial;
            of a stress that is not symmetric the symmetric part is kept.
        metadata: provenance; units are added.

    Returns:
        How many structures were written.

    Raises:
        InputError: there are no structures, some have labels and others not, the metadata claim
            other units, or a name contains a NUL character.
    """
    path = Path(path)
    for name, unit in UNITS.items():
        if metadata.get(name, unit) != unit:
            raise InputError(f"{path}: metadata/{name} is {metadata[name]!r}, expected {unit!r}")
    written = 0

    def write(aside: Path) -> None:
        nonlocal written
        with h5py.File(aside, "w") as file:
            attributes = file.create_group("metadata").attrs
            for key, value in {**metadata, **UNITS}.items():
                attributes[key] = value
            written = _write_structures(file, path, structures)

    write_atomically(path, write)
    return written


def _write_structures(file: h5py.File, path: Path, structures: Iterable[Structure]) -> int:
    count = atoms = 0
    labelled = False
    for group in in_chunks(structures, max_atoms=BLOCK_ATOMS, max_structures=BLOCK_STRUCTURES):
        if not count:
            labelled = group[0].energy is not None
            _create_columns(file, labelled)
        for index, structure in enumerate(group, start=count):
            _check_labels(path, index, structure, labelled)
        ends = atoms + np.cumsum([len(s) for s in group])
        rows: dict[str, Any] = {
            NUMBERS.key: np.concatenate([s.numbers for s in group]),
            POSITIONS.key: np.concatenate([s.positions for s in group]),
            CELLS.key: [np.zeros((3, 3)) if s.cell is None else s.cell for s in group],
            PBC.key: [s.pbc for s in group],
            SPLITS.key: ends,
            NAMES_KEY: [s.name for s in group],
        }
        if labelled:
            rows |= {
                ENERGY.key: [s.energy for s in group],
                FORCES.key: np.concatenate([s.forces for s in group if s.forces is not None]),
                FORCES_SPLITS.key: ends,
                STRESS.key: [_voigt_stress(s.stress) for s in group],
                STRESS_MASK.key: [s.stress is not None for s in group],
            }
        for key, values in rows.items():
            dataset = file[key]
            length = len(dataset)
            dataset.resize(length + len(values), axis=0)
            dataset[length:] = values
        count, atoms = count + len(group), int(ends[-1])
    if not count:
        raise InputError(f"{path}: there are no structures to write")
    return count


def _create_columns(file: h5py.File, labelled: bool) -> None:
    for column in (*STRUCTURE_COLUMNS, *(LABEL_COLUMNS if labelled else ())):
        rows = _CHUNK_ATOMS if column.rows == "atoms" else _CHUNK_STRUCTURES
        file.create_dataset(
            column.key,
            shape=(int(column.rows == "splits"), *column.trailing),  # splits begin with a zero
            maxshape=(None, *column.trailing),
            chunks=(rows, *column.trailing),
            dtype=column.dtype,
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )
    file.create_dataset(
        NAMES_KEY, (0,), h5py.string_dtype(), maxshape=(None,), chunks=(_CHUNK_STRUCTURES,)
    )


def _check_labels(path: Path, index: int, structure: Structure, labelled: bool) -> None:
    where = f"{path}: structure {index} ({structure.label})"
    has = {key for key in ("energy", "forces", "stress") if getattr(structure, key) is not None}
    if labelled and not {"energy", "forces"} <= has:
        raise InputError(
            f"{where}: has no energy or no forces, but the first structure is labelled"
        )
    if not labelled and has:
        raise InputError(f"{where}: has {sorted(has)}, but the first structure has no energy")
    if "\0" in structure.name:
        raise InputError(f"{where}: a name cannot contain a NUL character")


def _full_stress(voigt: FloatArray) -> FloatArray:
    full = np.zeros((3, 3))
    full[VOIGT] = voigt
    full.T[VOIGT] = voigt
    return full


def _voigt_stress(stress: FloatArray | None) -> FloatArray:
    return np.zeros(6) if stress is None else ((stress + stress.T) / 2)[VOIGT]
