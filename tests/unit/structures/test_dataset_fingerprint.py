"""A data set's fingerprint follows the content and nothing else."""

import hashlib

import h5py
import numpy as np
import pytest
from dataset_samples import edit_column, make_structures, replace_column

from mlffd.structures import records
from mlffd.structures.dataset import Dataset, write_dataset


def fingerprint(path):
    with Dataset(path) as dataset:
        return dataset.fingerprint


def test_it_is_the_hash_of_the_documented_bytes(labelled_file, structures):
    """Written out from the description, so that another program could do the same."""

    def floats(values):
        return np.array(values, dtype="<f8").tobytes()

    def integers(values):
        return np.array(values, dtype="<i8").tobytes()

    masks = [s.stress is not None for s in structures]
    index = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])
    parts = [
        b"mlffd-dataset-1 7 25 1\n",
        b"structures/atomic_numbers_splits\n" + integers([0, 2, 5, 9, 14, 20, 22, 25]),
        b"structures/atomic_numbers\n" + integers(np.concatenate([s.numbers for s in structures])),
        b"structures/positions\n" + floats(np.concatenate([s.positions for s in structures])),
        b"structures/cells\n"
        + floats([np.zeros((3, 3)) if s.cell is None else s.cell for s in structures]),
        b"structures/pbc\n" + bytes(bool(x) for s in structures for x in s.pbc),
        b"labels/energy\n" + floats([s.energy for s in structures]),
        b"labels/forces\n" + floats(np.concatenate([s.forces for s in structures])),
        b"labels/stress_mask\n" + bytes(masks),
        b"labels/stress\n"
        + floats([np.zeros(6) if s.stress is None else s.stress[index] for s in structures]),
        b"structures/names\n" + b"".join(integers([10]) + s.name.encode() for s in structures),
    ]
    expected = hashlib.sha256(b"".join(parts)).hexdigest()
    assert fingerprint(labelled_file) == f"sha256:{expected}"


def test_it_does_not_depend_on_how_the_content_is_stored(labelled_file, tmp_path, monkeypatch):
    """Other chunks, no compression, splits as starts only, other metadata, other block sizes."""
    expected = fingerprint(labelled_file)
    other = tmp_path / "other.h5"
    with h5py.File(labelled_file) as source, h5py.File(other, "w") as target:
        for group in ("structures", "labels"):
            for key, column in source[group].items():
                target[f"{group}/{key}"] = column[()]
        splits = source["structures/atomic_numbers_splits"][()]
        del target["structures/atomic_numbers_splits"]
        target["structures/atomic_numbers_splits"] = splits[:-1].astype(np.int32)
    monkeypatch.setattr(records, "BLOCK_ATOMS", 5)
    assert fingerprint(other) == expected


@pytest.mark.parametrize(
    ("key", "index", "value"),
    [
        ("structures/atomic_numbers", 3, 9),
        ("structures/positions", (3, 1), 1e-12),
        ("structures/cells", (2, 0, 0), 5.5),
        ("structures/pbc", (2, 0), False),
        ("structures/names", 3, b"molecule-x"),
        ("labels/energy", 3, 1e-12),
        ("labels/forces", (3, 1), 1e-12),
        ("labels/stress", (2, 4), 1e-12),
        ("labels/stress_mask", 2, False),
    ],
)
def test_it_changes_with_every_column(labelled_file, key, index, value):
    before = fingerprint(labelled_file)
    edit_column(labelled_file, key, index, value)
    assert fingerprint(labelled_file) != before


def test_it_changes_when_atoms_move_to_the_next_structure(labelled_file):
    before = fingerprint(labelled_file)
    for key in ("structures/atomic_numbers_splits", "labels/forces_splits"):
        edit_column(labelled_file, key, 1, 3)
    assert fingerprint(labelled_file) != before


def test_it_changes_when_names_share_their_letters_differently(tmp_path):
    structures = make_structures(2, labelled=False)
    prints = set()
    for names in (("ab", "c"), ("a", "bc")):
        path = tmp_path / f"{names[0]}.h5"
        write_dataset(path, structures, metadata={})
        replace_column(path, "structures/names", np.array(names, dtype=object))
        prints.add(fingerprint(path))
    assert len(prints) == 2


def test_what_lies_under_a_false_mask_does_not_count(labelled_file):
    before = fingerprint(labelled_file)
    edit_column(labelled_file, "labels/stress", (0, 0), 5.0)
    assert fingerprint(labelled_file) == before
