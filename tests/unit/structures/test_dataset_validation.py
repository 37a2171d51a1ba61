"""Validation finds each planted fault, at the right structure, and nothing in a sound file."""

from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from dataset_samples import edit_column, make_structures, replace_column

from mlffd.structures import records, validation
from mlffd.structures.dataset import write_dataset
from mlffd.structures.structure import Structure
from mlffd.structures.validation import Violation, validate_dataset

# Structure 3 owns atoms 9:14; structure 2 is a crystal and owns 5:9.


def test_a_sound_data_set_has_no_violations(labelled_file, tmp_path):
    assert validate_dataset(labelled_file) == []
    write_dataset(tmp_path / "u.h5", make_structures(labelled=False), metadata={})
    assert validate_dataset(tmp_path / "u.h5") == []


@pytest.mark.parametrize(
    ("key", "index", "value", "structure", "message"),
    [
        ("structures/positions", (9, 0), np.nan, 3, "1 of 15 numbers are not finite"),
        ("structures/positions", (9, 0), np.inf, 3, "1 of 15 numbers are not finite"),
        ("structures/cells", (2, 0), np.nan, 2, "3 of 9 numbers are not finite"),
        ("structures/cells", 2, 0.0, 2, "linearly dependent"),
        ("structures/cells", (2, 0), [0.0, 0.0, 0.05], 2, "Å apart"),
        ("structures/atomic_numbers", 10, 0, 3, "atom 1 has atomic number 0"),
        ("structures/atomic_numbers", 10, 119, 3, "atom 1 has atomic number 119"),
        ("labels/energy", 3, np.nan, 3, "is nan"),
        ("labels/forces", (9, 2), np.nan, 3, "1 of 15 numbers are not finite"),
        ("labels/forces", (9, 2), 0.9, 3, "add up to"),
        ("labels/stress", (2, 2), np.inf, 2, "1 of 6 numbers are not finite"),
    ],
)
def test_a_planted_value_is_found_where_it_is(labelled_file, key, index, value, structure, message):
    edit_column(labelled_file, key, index, value)
    found = validate_dataset(labelled_file)
    assert [(v.index, v.key) for v in found] == [(structure, key)]
    assert message in found[0].message


def test_forces_that_are_all_too_large_are_perhaps_in_another_unit(tmp_path):
    structures = [replace(s, forces=23.06 * s.forces) for s in make_structures()]
    write_dataset(tmp_path / "kcal.h5", structures, metadata={})
    (found,) = validate_dataset(tmp_path / "kcal.h5")
    assert (found.index, found.key) == (None, "labels/forces")
    assert "perhaps they are in kcal/mol/Å" in found.message


def test_atoms_alone_say_nothing_of_the_unit(tmp_path):
    """They have no forces in any."""
    molecules = [replace(s, forces=23.06 * s.forces) for s in make_structures()[:3]]
    alone = [
        Structure([2], [[0, 0, k]], energy=0.0, forces=np.zeros((1, 3)), name=f"he-{k}")
        for k in range(10)
    ]
    write_dataset(tmp_path / "kcal.h5", [*molecules, *alone], metadata={})
    (found,) = validate_dataset(tmp_path / "kcal.h5")
    assert "perhaps they are in kcal/mol/Å" in found.message


def test_the_heaviest_element_is_one(labelled_file):
    edit_column(labelled_file, "structures/atomic_numbers", 10, 118)
    assert validate_dataset(labelled_file) == []


@pytest.mark.parametrize(("distance", "sound"), [(0.31, True), (0.29, False)])
def test_atoms_may_be_as_close_as_the_message_says(tmp_path, distance, sound):
    pair = Structure([1, 1], [[0, 0, 0], [0, 0, distance]])
    write_dataset(tmp_path / "d.h5", [pair], metadata={})
    found = validate_dataset(tmp_path / "d.h5")
    assert ["expected at least 0.3 Å" in v.message for v in found] == ([] if sound else [True])


@pytest.mark.parametrize(
    ("cell", "sound"),
    [
        (np.diag([5.0, 5.0, 0.11]), True),
        (np.diag([5.0, 5.0, 0.09]), False),
        ([[1, 0, 0], [1.9, 0.2, 0], [0, 0, 1]], True),  # skewed: faces are 0.105 Å apart
    ],
)
def test_faces_may_be_as_close_as_the_message_says(cell, sound):
    record = SimpleNamespace(cell=np.array(cell), pbc=np.ones(3, dtype=bool))
    assert (validation._cell_problem(record) is None) is sound


@pytest.mark.parametrize(("typical", "sound"), [(9.9, True), (10.1, False)])
def test_typical_forces_may_be_as_large_as_the_message_says(tmp_path, typical, sound):
    force = typical * 3**0.5  # on two atoms, along one axis
    pair = Structure(
        [1, 1], [[0, 0, 0], [0, 0, 0.7]], energy=0.0, forces=[[force, 0, 0], [-force, 0, 0]]
    )
    write_dataset(tmp_path / "d.h5", [pair], metadata={})
    found = validate_dataset(tmp_path / "d.h5")
    assert [v.index for v in found] == ([] if sound else [None])


def test_labels_that_were_promised_are_missed(labelled_file, tmp_path):
    assert validate_dataset(labelled_file, labelled=True) == []
    write_dataset(tmp_path / "u.h5", make_structures(labelled=False), metadata={})
    found = validate_dataset(tmp_path / "u.h5", labelled=True)
    assert [v.message for v in found] == ["there are no labels"]


@pytest.mark.parametrize(("net", "sound"), [(0.22, True), (0.23, False)])
def test_forces_may_add_up_to_more_where_there_are_more_atoms(labelled_file, net, sound):
    """0.1 eV/Å times the root of their number, as independent errors of each do."""
    forces = np.zeros((5, 3))
    forces[1, 2] = net
    edit_column(labelled_file, "labels/forces", slice(9, 14), forces)  # of five atoms
    assert [(v.index, v.key) for v in validate_dataset(labelled_file)] == (
        [] if sound else [(3, "labels/forces")]
    )


def test_less_than_half_of_large_forces_may_be_right(tmp_path):
    structures = make_structures()
    structures[:3] = [replace(s, forces=23.06 * s.forces) for s in structures[:3]]
    write_dataset(tmp_path / "steep.h5", structures, metadata={})
    assert validate_dataset(tmp_path / "steep.h5") == []


def test_forces_that_cancel_can_still_be_absurd(labelled_file):
    edit_column(labelled_file, "labels/forces", slice(9, 11), [[2e3, 0, 0], [-2e3, 0, 0]])
    edit_column(labelled_file, "labels/forces", slice(11, 14), 0.0)
    found = validate_dataset(labelled_file)
    assert found == [Violation(3, "labels/forces", "2e+03 eV/Å on atom 0, expected at most 1000")]


def test_forces_shifted_against_the_structures_are_found(labelled_file):
    """Rolled by one atom, each structure has one force of its neighbour."""
    with h5py.File(labelled_file) as file:
        forces = np.roll(file["labels/forces"][()], 1, axis=0)
    replace_column(labelled_file, "labels/forces", forces)
    found = validate_dataset(labelled_file)
    assert {v.key for v in found} == {"labels/forces"}
    assert [v.index for v in found] == list(range(7))


def test_overlapping_atoms_are_found(labelled_file):
    with h5py.File(labelled_file) as file:
        near = file["structures/positions"][9] + [0.0, 0.29, 0.0]
    edit_column(labelled_file, "structures/positions", 12, near)
    (found,) = validate_dataset(labelled_file)
    assert found.index == 3
    assert "atoms 0 and 3 are 0.29 Å apart" in found.message
    assert "1 such pairs" in found.message


def test_an_atom_on_the_image_of_another_is_found(tmp_path):
    structure = Structure(
        [6, 6], [[0.1, 2, 2], [4.9, 2, 2]], cell=np.diag([5.0, 5, 5]), pbc=[True] * 3
    )
    apart = Structure([6, 6], structure.positions)
    write_dataset(tmp_path / "d.h5", [apart, structure], metadata={})
    (found,) = validate_dataset(tmp_path / "d.h5")
    assert found.index == 1
    assert "atoms 0 and 1 are 0.2 Å apart" in found.message


def test_an_atom_on_its_own_image_is_found(tmp_path):
    structure = Structure([6], [[0, 0, 0]], cell=np.diag([0.2, 5, 5]), pbc=[True] * 3)
    write_dataset(tmp_path / "d.h5", [structure], metadata={})
    (found,) = validate_dataset(tmp_path / "d.h5")
    assert "atoms 0 and 0 are 0.2 Å apart" in found.message


def test_duplicates_name_the_first_one_even_in_another_block(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_STRUCTURES", 2)
    structures = make_structures()
    labels = {"energy": 5.0, "forces": np.zeros((3, 3)), "name": "copy"}
    again = Structure(**{**vars(structures[1]), **labels})
    other_cell = Structure(**{**vars(structures[1]), "cell": np.eye(3) * 9})
    write_dataset(tmp_path / "d.h5", [*structures, again, other_cell], metadata={})
    assert validate_dataset(tmp_path / "d.h5") == [
        Violation(7, "structures/positions", "the same atoms at the same positions as structure 1")
    ]


def test_an_empty_structure_is_found(labelled_file):
    for key in ("structures/atomic_numbers_splits", "labels/forces_splits"):
        edit_column(labelled_file, key, 4, 9)
    found = validate_dataset(labelled_file)
    assert Violation(3, "structures/atomic_numbers_splits", "has no atoms") in found


def test_a_file_without_structures_is_not_sound(labelled_file):
    with h5py.File(labelled_file, "r+") as file:
        for key in ("structures", "labels"):
            del file[key]
        for key, shape in (
            ("atomic_numbers", 0),
            ("atomic_numbers_splits", 0),
        ):
            file[f"structures/{key}"] = np.zeros(shape, dtype=int)
        for key, shape in (("positions", (0, 3)), ("cells", (0, 3, 3)), ("pbc", (0, 3))):
            file[f"structures/{key}"] = np.zeros(shape, dtype=bool if key == "pbc" else float)
    (found,) = validate_dataset(labelled_file)
    assert (found.index, found.message) == (None, "there are no structures")


def test_missing_and_wrong_units_are_found_and_the_rest_is_still_read(labelled_file):
    with h5py.File(labelled_file, "r+") as file:
        del file["metadata"].attrs["energy_unit"]
        file["metadata"].attrs["forces_unit"] = "Hartree/Bohr"
    edit_column(labelled_file, "labels/energy", 3, np.nan)
    found = [(v.index, v.key, v.message) for v in validate_dataset(labelled_file)]
    assert found == [
        (None, "metadata/energy_unit", "missing units, expected 'eV'"),
        (None, "metadata/forces_unit", "is 'Hartree/Bohr', expected 'eV/Angstrom'"),
        (3, "labels/energy", "is nan, expected a finite number"),
    ]


def test_a_file_without_metadata_misses_all_units(labelled_file):
    with h5py.File(labelled_file, "r+") as file:
        del file["metadata"]
    assert len(validate_dataset(labelled_file)) == 4


def test_bad_splits_are_reported_with_the_first_bad_structure(labelled_file):
    edit_column(labelled_file, "structures/atomic_numbers_splits", 3, 4)
    edit_column(labelled_file, "labels/forces_splits", 6, 26)
    found = validate_dataset(labelled_file)
    assert [(v.index, v.key) for v in found] == [
        (2, "structures/atomic_numbers_splits"),
        (5, "labels/forces_splits"),
    ]


def test_all_missing_columns_are_reported(labelled_file):
    replace_column(labelled_file, "structures/positions", None)
    replace_column(labelled_file, "labels/forces", None)
    found = validate_dataset(labelled_file)
    assert [(v.index, v.key, v.message) for v in found] == [
        (None, "structures/positions", "is missing"),
        (None, "labels/forces", "is missing"),
    ]


def test_every_fault_of_every_structure_is_listed(labelled_file):
    edit_column(labelled_file, "labels/energy", slice(None), np.nan)
    edit_column(labelled_file, "structures/atomic_numbers", slice(None), 0)
    found = validate_dataset(labelled_file)
    assert [v.index for v in found] == sorted([*range(7)] * 2)
    assert str(found[0]).startswith("structures/atomic_numbers: structure 0: ")
