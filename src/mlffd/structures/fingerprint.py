"""A data set's fingerprint: the same for the same content, however it is stored."""

import hashlib
from collections.abc import Iterator

import numpy as np

from mlffd.structures.hdf5_schema import (
    CELLS,
    ENERGY,
    FORCES,
    NUMBERS,
    PBC,
    POSITIONS,
    Column,
    Layout,
)
from mlffd.structures.records import blocks, read_names, read_rows, read_stress


def fingerprint(layout: Layout) -> str:
    r"""``sha256:...`` over structures, labels and names; metadata does not count.

    The hash runs over these bytes, for a data set of M structures and N atoms in all:

    - the line ``mlffd-dataset-1 M N labelled\n`` in ASCII, the last word ``0`` or ``1``;
    - for each column in the order below, its key and ``\n`` in ASCII, then its numbers in C
      order, little-endian: int64 for integers, float64 for floats, one byte 0 or 1 for booleans:
      ``structures/atomic_numbers_splits`` ``[M + 1]``, ``structures/atomic_numbers`` ``[N]``,
      ``structures/positions`` ``[N, 3]``, ``structures/cells`` ``[M, 3, 3]``, ``structures/pbc``
      ``[M, 3]``, and if labelled ``labels/energy`` ``[M]``, ``labels/forces`` ``[N, 3]``,
      ``labels/stress_mask`` ``[M]`` and ``labels/stress`` ``[M, 6]``, zeros where the mask is
      false (no mask in the file counts as all false);
    - ``structures/names\n``, then for each structure the length of its name in bytes as int64
      and the name in UTF-8; a structure without a name is called by its index.

    So chunks, compression, the stored width of a number and the two ways to write splits make no
    difference.
    """
    digest = hashlib.sha256()
    atoms = int(layout.splits[-1])
    structures = len(layout.splits) - 1
    digest.update(f"mlffd-dataset-1 {structures} {atoms} {int(layout.is_labelled)}\n".encode())
    digest.update(b"structures/atomic_numbers_splits\n")
    digest.update(layout.splits.astype("<i8").tobytes())
    columns = [NUMBERS, POSITIONS, CELLS, PBC]
    if layout.is_labelled:
        columns += [ENERGY, FORCES]
    for column in columns:
        digest.update(f"{column.key}\n".encode())
        for piece in _pieces(layout, column):
            digest.update(piece)
    if layout.is_labelled:
        digest.update(b"labels/stress_mask\n")
        for start, stop in blocks(layout.splits):
            digest.update(read_stress(layout, start, stop)[1].tobytes())
        digest.update(b"labels/stress\n")
        for start, stop in blocks(layout.splits):
            digest.update(read_stress(layout, start, stop)[0].astype("<f8").tobytes())
    digest.update(b"structures/names\n")
    for start, stop in blocks(layout.splits):
        for name in read_names(layout, start, stop):
            digest.update(np.array(len(name), dtype="<i8").tobytes() + name)
    return f"sha256:{digest.hexdigest()}"


def _pieces(layout: Layout, column: Column) -> Iterator[bytes]:
    # The row at which each structure begins.
    per_atom = column.rows == "atoms"
    begins = layout.splits if per_atom else np.arange(len(layout.splits))
    for start, stop in blocks(layout.splits):
        yield read_rows(layout, column, int(begins[start]), int(begins[stop])).tobytes()
