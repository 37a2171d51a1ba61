"""Data sets in HDF5: what is written is what is read, and what does not fit is refused by name."""

import pickle

import h5py
import numpy as np
import pytest
from dataset_samples import assert_same_structures, edit_column, make_structures, replace_column

from mlffd.errors import InputError
from mlffd.structures import dataset, hdf5_schema, records
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.hdf5_schema import UNITS
from mlffd.structures.structure import Structure

ATOMS = "structures/atomic_numbers_splits"
FORCES = "labels/forces_splits"


def test_structures_labels_and_names_come_back_to_the_last_bit(labelled_file, structures):
    with Dataset(labelled_file) as dataset:
        assert dataset.is_labelled
        assert len(dataset) == len(structures)
        assert dataset.atom_counts.tolist() == [len(s) for s in structures]
        assert_same_structures(list(dataset), structures)


def test_unlabelled_structures_have_no_labels_group(tmp_path):
    structures = make_structures(labelled=False)
    assert write_dataset(tmp_path / "d.h5", structures, metadata={}) == len(structures)
    with h5py.File(tmp_path / "d.h5") as file:
        assert set(file) == {"structures", "metadata"}
    with Dataset(tmp_path / "d.h5") as dataset:
        assert not dataset.is_labelled
        assert_same_structures(list(dataset), structures)


def test_the_file_has_the_shared_schema(labelled_file, structures):
    """Other programs read these files: key for key, shape for shape, type for type."""
    count, atoms = len(structures), sum(len(s) for s in structures)
    expected = {
        "structures/atomic_numbers": ((atoms,), "int64"),
        "structures/positions": ((atoms, 3), "float64"),
        "structures/cells": ((count, 3, 3), "float64"),
        "structures/pbc": ((count, 3), "bool"),
        "structures/atomic_numbers_splits": ((count + 1,), "int64"),
        "structures/names": ((count,), "object"),
        "labels/energy": ((count,), "float64"),
        "labels/forces": ((atoms, 3), "float64"),
        "labels/forces_splits": ((count + 1,), "int64"),
        "labels/stress": ((count, 6), "float64"),
        "labels/stress_mask": ((count,), "bool"),
    }
    found = {}
    with h5py.File(labelled_file) as file:
        file.visititems(
            lambda key, item: (
                found.update({key: (item.shape, str(item.dtype))})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
        for key in expected.keys() - {"structures/names"}:
            column = file[key]
            packing = column.compression, column.compression_opts, column.shuffle
            assert packing == ("gzip", 4, True)
            per_atom = key.endswith(("numbers", "positions", "forces"))
            assert column.chunks == (8192 if per_atom else 1024, *column.shape[1:])
        assert file["structures/names"].chunks == (1024,)
        assert file["metadata"].attrs["stress_unit"] == "eV/Angstrom^3"
        s = structures[2].stress
        expected_voigt = [s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]]
        np.testing.assert_array_equal(file["labels/stress"][2], expected_voigt)
        assert not file["labels/stress"][0].any()
        assert file["labels/stress_mask"][:3].tolist() == [False, False, True]
    assert found == expected


def test_metadata_are_units_and_provenance(labelled_file):
    with Dataset(labelled_file) as dataset:
        assert dataset.metadata == {
            "teacher": "none",
            "seed": 0,
            "energy_unit": "eV",
            "length_unit": "Angstrom",
            "forces_unit": "eV/Angstrom",
            "stress_unit": "eV/Angstrom^3",
        }


def test_only_plain_metadata_are_read(labelled_file):
    with h5py.File(labelled_file, "r+") as file:
        attributes = file["metadata"].attrs
        attributes["array"] = np.arange(3)
        attributes["nothing"] = h5py.Empty("f8")
        attributes["reference"] = file["labels"].ref
        attributes["fixed"] = np.bytes_(b"orb")
        attributes["rate"] = np.float32(0.5)
    with Dataset(labelled_file) as dataset:
        assert dataset.metadata.keys() - {"teacher", "seed", *UNITS} == {"fixed", "rate"}
        assert dataset.metadata["fixed"] == "orb"
        assert dataset.metadata["rate"] == 0.5


def test_indices_and_slices_are_those_of_a_list(labelled_file, structures):
    with Dataset(labelled_file) as dataset:
        assert dataset[-1].name == structures[-1].name
        assert dataset[np.int64(2)].name == structures[2].name
        slices = (2, 5), (None, None, -2), (0, 6, 2), (5, 2), (-3, None)
        for chosen in (slice(*bounds) for bounds in slices):
            assert_same_structures(dataset[chosen], structures[chosen])
        for bad in (7, -8):
            with pytest.raises(IndexError, match=str(bad)):
                dataset[bad]


def test_a_slice_is_read_at_once(labelled_file, monkeypatch):
    reads = []
    original = dataset.read_records

    def spy(layout, start, stop):
        reads.append((start, stop))
        return original(layout, start, stop)

    monkeypatch.setattr(dataset, "read_records", spy)
    with Dataset(labelled_file) as opened:
        assert len(opened[2:6]) == 4
    assert reads == [(2, 6)]


def test_elements_are_counted_over_all_blocks(labelled_file, structures, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_ATOMS", 5)
    numbers, counts = np.unique(np.concatenate([s.numbers for s in structures]), return_counts=True)
    with Dataset(labelled_file) as dataset:
        assert dataset.elements == dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def test_reading_in_small_blocks_gives_the_same(labelled_file, structures, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_ATOMS", 5)
    monkeypatch.setattr(records, "BLOCK_STRUCTURES", 2)
    with Dataset(labelled_file) as dataset:
        assert_same_structures(list(dataset), structures)


def test_no_read_is_larger_than_a_block(labelled_file, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_ATOMS", 8)
    sizes = []
    original = records.read_rows

    def spy(layout, column, start, stop):
        sizes.append(stop - start)
        return original(layout, column, start, stop)

    monkeypatch.setattr(records, "read_rows", spy)
    with Dataset(labelled_file) as dataset:
        list(dataset)
    assert max(sizes) <= 8


def test_blocks_are_as_large_as_they_may_be(monkeypatch):
    monkeypatch.setattr(records, "BLOCK_ATOMS", 7)
    monkeypatch.setattr(records, "BLOCK_STRUCTURES", 2)
    splits = np.array([0, 2, 5, 7, 16, 17, 18, 19])  # the fourth structure is too large
    assert list(records.blocks(splits)) == [(0, 2), (2, 3), (3, 4), (4, 6), (6, 7)]
    assert list(records.blocks(np.array([0]))) == []


def test_without_a_column_there_is_no_stress_of_anything(labelled_file):
    replace_column(labelled_file, "labels/stress", None)
    replace_column(labelled_file, "labels/stress_mask", None)
    with h5py.File(labelled_file) as file:
        stress, mask = records.read_stress(hdf5_schema.read_layout(file), 2, 5)
    assert stress.shape == (3, 6)
    assert mask.tolist() == [False] * 3


def test_batches_hold_as_many_structures_as_fit(labelled_file, structures):
    with Dataset(labelled_file) as dataset:
        batches = list(dataset.batches(7))
    assert [[len(s) for s in batch] for batch in batches] == [[2, 3], [4], [5], [6], [2, 3]]
    assert_same_structures([s for batch in batches for s in batch], structures)


def test_a_data_set_travels_to_other_processes(labelled_file, structures, monkeypatch):
    monkeypatch.chdir(labelled_file.parent)
    with Dataset(labelled_file.name) as dataset:
        blob = pickle.dumps(dataset)
    monkeypatch.chdir("/")
    with pickle.loads(blob) as copy:
        assert_same_structures(list(copy), structures)


def test_a_cell_with_zeros_in_it_is_a_cell(tmp_path):
    box = Structure([6], [[1, 2, 3]], cell=np.diag([2.0, 3.0, 4.0]), pbc=[True] * 3, name="box")
    slab = Structure([6], [[1, 2, 3]], cell=np.diag([2.0, 3, 0]), pbc=[True, True, False], name="s")
    write_dataset(tmp_path / "d.h5", [box, slab], metadata={})
    with Dataset(tmp_path / "d.h5") as written:
        assert_same_structures(list(written), [box, slab])


def test_a_structure_without_a_name_is_called_by_its_index(labelled_file):
    edit_column(labelled_file, "structures/names", 1, b"")
    with Dataset(labelled_file) as dataset:
        assert [s.name for s in dataset[:3]] == ["molecule-0", "1", "molecule-2"]
    replace_column(labelled_file, "structures/names", None)
    with Dataset(labelled_file) as dataset:
        assert [s.name for s in dataset[:3]] == ["0", "1", "2"]


def test_single_precision_and_a_missing_stress_are_read(labelled_file, structures):
    """As in files that others made."""
    replace_column(
        labelled_file,
        "labels/forces",
        np.concatenate([s.forces for s in structures]).astype(np.float32),
    )
    replace_column(labelled_file, "labels/stress", None)
    replace_column(labelled_file, "labels/stress_mask", None)
    with Dataset(labelled_file) as dataset:
        assert dataset[2].stress is None
        assert dataset[2].forces.dtype == np.float64
        np.testing.assert_allclose(dataset[2].forces, structures[2].forces, atol=1e-6)


@pytest.mark.parametrize("form", [slice(None), slice(None, -1), slice(1, None)])
def test_splits_may_be_starts_ends_or_both(labelled_file, structures, form):
    bounds = np.cumsum([0, *(len(s) for s in structures)])
    replace_column(labelled_file, ATOMS, bounds[form])
    with Dataset(labelled_file) as dataset:
        assert_same_structures(list(dataset), structures)


# The right ones are 0 2 5 9 14 20 22 25.
@pytest.mark.parametrize(
    ("key", "splits", "reason"),
    [
        (ATOMS, [0, 2, 5, 9, 14, 20], "6 entries"),
        (ATOMS, [0, 2, 5, 9, 14, 20, 22, 25, 25], "9 entries"),
        (ATOMS, [0, 2, 5, 9, 14, 20, 22, 24], "structure 6: .*ends at row 24, .*25 atoms"),
        (ATOMS, [1, 2, 5, 9, 14, 20, 22, 25], "structure 0: .*begins at row 1"),
        (ATOMS, [0, 2, 9, 5, 14, 20, 22, 25], "structure 2: unsorted"),
        (ATOMS, [0, 2, 5, 9, 14, 20, 26, 25], "structure 5: .*out of range"),
        (ATOMS, [0, 2, -5, 9, 14, 20, 22, 25], "structure 1: .*out of range"),
        (ATOMS, [0, 2, 5, 9, 14, 20, 25], "ambiguous"),
        (ATOMS, [1, 2, 5, 9, 14, 20, 22], "structure 6: .*ends at row 22"),
        (ATOMS, [0.0, 2, 5, 9, 14, 20, 22, 25], "type float64"),
        (ATOMS, [-1, 2, 5, 9, 14, 20, 22, 25], "structure 0: unsorted or out of range: rows -1:2"),
        # Without the last entry, or without the first: what they begin with tells which.
        (ATOMS, [0, 5, 2, 9, 14, 20, 22], "structure 1: unsorted"),
        (ATOMS, [2, 9, 5, 14, 20, 22, 25], "structure 2: unsorted"),
        (FORCES, [0, 2, 5, 9, 15, 20, 22, 25], "structure 3: disagrees"),
        (FORCES, [0, 2, 5, 9, 15, 21, 22, 25], "structure 3: disagrees"),
        (FORCES, [0, 3, 2, 9, 14, 20, 22, 25], "structure 1: unsorted"),
    ],
)
def test_wrong_splits_are_refused_with_key_and_structure(labelled_file, key, splits, reason):
    replace_column(labelled_file, key, np.array(splits))
    with pytest.raises(InputError, match=f"labelled.h5: {key}: .*{reason}"):
        Dataset(labelled_file)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("structures/positions", np.zeros((24, 3))),
        ("structures/positions", np.zeros((25, 3), dtype=int)),
        ("structures/atomic_numbers", np.zeros(25)),
        ("structures/cells", np.zeros((7, 9))),
        ("structures/pbc", np.zeros(7, dtype=bool)),
        ("structures/names", np.zeros(7)),
        ("labels/energy", np.zeros(6)),
        ("labels/energy", np.array(["a"] * 7, dtype="S")),
        ("labels/energy", h5py.Empty("f8")),
        ("labels/energy", np.float64(1)),
        ("labels/forces", np.zeros((26, 3))),
        ("labels/forces", None),
        ("labels/stress", None),
        ("labels/stress_mask", np.zeros(8, dtype=bool)),
        ("structures/cells", None),
    ],
)
def test_wrong_columns_are_refused_by_key(labelled_file, key, values):
    replace_column(labelled_file, key, values)
    with pytest.raises(InputError, match=f"labelled.h5: {key}: "):
        Dataset(labelled_file)


def test_a_refused_file_is_closed(labelled_file):
    """Even while the error, which holds on to what failed, is looked at."""
    replace_column(labelled_file, ATOMS, np.array([0, 2]))
    with pytest.raises(InputError) as caught:
        Dataset(labelled_file)
    h5py.File(labelled_file, "r+").close()  # HDF5 refuses that of a file that is open to be read
    assert caught.value.__traceback__


def test_splits_that_are_one_number_have_no_length(labelled_file):
    replace_column(labelled_file, ATOMS, np.int64(3))
    with pytest.raises(InputError, match=r"splits: has shape \(\), expected \(0,\)"):
        Dataset(labelled_file)


def test_a_group_in_place_of_a_column_is_told_once(labelled_file):
    replace_column(labelled_file, "labels/energy", None)
    with h5py.File(labelled_file, "r+") as file:
        file.create_group("labels/energy")
        found = hdf5_schema.read_layout(file)
    reasons = [(violation.key, violation.message) for violation in found.violations]
    assert reasons == [("labels/energy", "is a group, expected a data set")]


def test_atoms_of_no_structure_are_blamed_on_the_first():
    found = hdf5_schema.complete_splits(np.array([0]), ATOMS, 0, 3)
    assert found.index == 0
    assert "ends at row 0, but there are 3 atoms" in found.message


def test_another_unit_is_refused_and_a_missing_one_is_not(labelled_file):
    with h5py.File(labelled_file, "r+") as file:
        del file["metadata"].attrs["energy_unit"]
    Dataset(labelled_file).close()
    with h5py.File(labelled_file, "r+") as file:
        file["metadata"].attrs["energy_unit"] = "kcal/mol"
    with pytest.raises(InputError, match="metadata/energy_unit: is 'kcal/mol', expected 'eV'"):
        Dataset(labelled_file)


def test_a_structure_that_cannot_exist_is_named_when_read(labelled_file):
    edit_column(labelled_file, "structures/cells", 2, 0.0)
    with Dataset(labelled_file) as dataset:
        assert dataset[1].name == "molecule-1"
        with pytest.raises(InputError, match=r"labelled.h5: structure 2: molecule-2: periodic"):
            dataset[2]


@pytest.mark.parametrize("odd", ["energy", "forces"])
def test_all_structures_are_labelled_or_none(tmp_path, structures, odd):
    path = tmp_path / "mixed.h5"
    without = Structure(
        **{**vars(structures[4]), odd: None},
    )
    with pytest.raises(InputError, match=f"mixed.h5: structure 4 .*has no {odd}|no forces"):
        write_dataset(path, [*structures[:4], without], metadata={})
    unlabelled = make_structures(labelled=False)
    with pytest.raises(InputError, match=r"structure 7 .*has .*but the first"):
        write_dataset(path, [*unlabelled, structures[0]], metadata={})
    assert list(tmp_path.iterdir()) == []


def test_a_stream_of_blocks_is_written_as_one(tmp_path, structures, monkeypatch):
    monkeypatch.setattr(dataset, "BLOCK_ATOMS", 6)
    assert write_dataset(tmp_path / "d.h5", iter(structures), metadata={}) == len(structures)
    with Dataset(tmp_path / "d.h5") as written:
        assert_same_structures(list(written), structures)


def test_a_name_with_a_nul_character_is_refused(tmp_path):
    named = Structure([1], [[0, 0, 0]], name="a\0b")
    with pytest.raises(InputError, match=r"d.h5: structure 0 .*cannot contain a NUL"):
        write_dataset(tmp_path / "d.h5", [named], metadata={})
    assert not list(tmp_path.iterdir())


def test_a_writer_that_fails_leaves_the_old_file(labelled_file, structures):
    before = labelled_file.read_bytes()

    def breaks():
        yield structures[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_dataset(labelled_file, breaks(), metadata={})
    assert labelled_file.read_bytes() == before
    assert list(labelled_file.parent.iterdir()) == [labelled_file]


def test_an_empty_data_set_is_not_written(tmp_path):
    with pytest.raises(InputError, match="no structures"):
        write_dataset(tmp_path / "d.h5", [], metadata={})


def test_metadata_cannot_claim_other_units(tmp_path, structures):
    with pytest.raises(InputError, match="metadata/energy_unit is 'Hartree'"):
        write_dataset(tmp_path / "d.h5", structures, metadata={"energy_unit": "Hartree"})


def test_the_same_structures_make_the_same_file(tmp_path, structures):
    for name in ("a.h5", "b.h5"):
        write_dataset(tmp_path / name, iter(structures), metadata={"seed": 1})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
