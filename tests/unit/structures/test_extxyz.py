"""Extended XYZ, there and back, and conversion by suffix."""

import numpy as np
import pytest
from dataset_samples import assert_same_structures, make_structures
from hypothesis import given
from hypothesis import strategies as st

from mlffd.errors import InputError
from mlffd.structures import extxyz
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.extxyz import convert, read_extxyz, write_extxyz
from mlffd.structures.structure import Structure


def test_everything_comes_back(tmp_path, structures):
    path = tmp_path / "d.xyz"
    assert write_extxyz(path, structures) == len(structures)
    assert_same_structures(list(read_extxyz(path)), structures, atol=1e-8)


def test_a_slab_keeps_its_directions(tmp_path):
    slab = Structure([6], [[1, 2, 3]], cell=np.diag([2.0, 3.0, 0.0]), pbc=[True, True, False])
    boxed = Structure([6], [[1, 2, 3]], cell=np.eye(3) * 5)
    write_extxyz(tmp_path / "d.xyz", [slab, boxed])
    assert_same_structures(list(read_extxyz(tmp_path / "d.xyz")), [slab, boxed])


def test_other_programs_can_read_the_stress(tmp_path, structures):
    """ASE's key and order: nine numbers of the full tensor."""
    write_extxyz(tmp_path / "d.xyz", [structures[2]])
    header = (tmp_path / "d.xyz").read_text().splitlines()[1]
    numbers = header.split('stress="')[1].split('"')[0].split()
    np.testing.assert_allclose(np.array(numbers, dtype=float), structures[2].stress.ravel())


NAMES = ["007", "1e5", "T", "true", "1 2 3", "a b", 'say "x"', "x=1", "back\\slash", "a\nb", "é∂"]


@pytest.mark.parametrize("name", [*NAMES, "_JSON 1", "[1, 2]", "{}", "'", '"', "\\", "", "None"])
def test_names_that_look_like_something_else_stay_names(tmp_path, name):
    write_extxyz(tmp_path / "d.xyz", [Structure([1], [[0, 0, 0]], name=name)])
    (back,) = read_extxyz(tmp_path / "d.xyz")
    assert back.name == name


def test_a_name_that_would_not_come_back_is_refused(tmp_path, monkeypatch):
    """With this ASE they all do."""
    monkeypatch.setattr(extxyz, "key_val_str_to_dict", lambda header: {"name": header})
    with pytest.raises(InputError, match="extended XYZ cannot hold the name 'water'"):
        write_extxyz(tmp_path / "d.xyz", [Structure([1], [[0, 0, 0]], name="water")])
    assert not list(tmp_path.iterdir())


@given(st.text(max_size=8))
def test_any_name_survives(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("names") / "d.xyz"
    write_extxyz(path, [Structure([1], [[0, 0, 0]], name=name)])
    (back,) = read_extxyz(path)
    assert back.name == name


GOOD = "1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n"


@pytest.mark.parametrize(
    "content",
    [
        "2\nProperties=species:S:1:pos:R:3\nH 0 0 0\n",
        "1\nProperties=species:S:1:pos:R:3\nH 0 zero 0\n",
        "1\nProperties=species:S:1:pos:R:3\nQq 0 0 0\n",
        '1\nLattice="1 2 3" Properties=species:S:1:pos:R:3\nH 0 0 0\n',
    ],
)
def test_the_structure_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "d.xyz"
    path.write_text(2 * GOOD + content)
    with pytest.raises(InputError, match=r"d.xyz: not extended XYZ at structure 2: "):
        list(read_extxyz(path))


@pytest.mark.parametrize("content", ["two\n\nH 0 0 0\n", "<html></html>"])
def test_no_structure_is_blamed_for_the_header_of_another(tmp_path, content):
    """ASE finds a wrong header before it yields the first structure."""
    path = tmp_path / "d.xyz"
    path.write_text(2 * GOOD + content)
    with pytest.raises(InputError, match=r"at structure 0 or a later one: .*(two|<html>)"):
        list(read_extxyz(path))


def test_a_binary_or_missing_file_is_refused(tmp_path):
    (tmp_path / "d.xyz").write_bytes(b"\x89HDF\xff\xfe")
    for path in (tmp_path / "d.xyz", tmp_path / "absent.xyz", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            list(read_extxyz(path))


@pytest.mark.parametrize("middle", ["m.xyz", "m.extxyz", "m.h5", "m.hdf5"])
def test_conversion_goes_there_and_back(labelled_file, tmp_path, structures, middle):
    assert convert(labelled_file, tmp_path / middle) == len(structures)
    convert(tmp_path / middle, tmp_path / "back.h5")
    with Dataset(tmp_path / "back.h5") as dataset:
        assert_same_structures(list(dataset), structures, atol=1e-8)
        expected = {"teacher": "none"} if "h" in middle else {"converted_from": middle}
        assert expected.items() <= dataset.metadata.items()


def test_an_unknown_suffix_is_refused_with_the_known_ones(labelled_file, tmp_path):
    with pytest.raises(InputError, match=r"d.cif: unknown format '.cif', expected one of .h5"):
        convert(labelled_file, tmp_path / "d.cif")


def test_structures_without_labels_convert_too(tmp_path):
    structures = make_structures(labelled=False)
    write_dataset(tmp_path / "d.h5", structures, metadata={})
    convert(tmp_path / "d.h5", tmp_path / "d.xyz")
    assert_same_structures(list(read_extxyz(tmp_path / "d.xyz")), structures, atol=1e-8)


def test_a_file_is_not_converted_onto_itself(labelled_file, tmp_path):
    before = labelled_file.read_bytes()
    link = tmp_path / "link.h5"
    link.symlink_to(labelled_file)
    for target in (labelled_file, tmp_path / "absent" / ".." / "labelled.h5", link):
        with pytest.raises(InputError, match="is the source itself"):
            convert(labelled_file, target)
    assert labelled_file.read_bytes() == before


@pytest.mark.parametrize("target", ["new.h5", "new.xyz"])
@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("Properties=species:S:1:pos:R:3:force:R:3 total_E=-1.5", "'total_E', 'force'"),
        ("Properties=species:S:1:pos:R:3:forces:R:3 REF_energy=-1.5", "'REF_energy'"),
        ("Properties=species:S:1:pos:R:3:DFT_forces:R:3 energy=-1.5", "'DFT_forces'"),
    ],
)
def test_labels_under_other_names_are_not_lost_in_silence(tmp_path, header, names, target):
    source = tmp_path / "d.xyz"
    source.write_text(f"1\n{header}\nH 0 0 0 0 0 0\n")
    with pytest.raises(InputError) as error:
        convert(source, tmp_path / target)
    assert f"{source}: structure 0" in str(error.value)
    assert f"has {names}, but labels are looked for under the names 'energy'" in str(error.value)
    assert not (tmp_path / target).exists()


def test_other_columns_are_no_labels(tmp_path):
    (tmp_path / "d.xyz").write_text(
        "1\nProperties=species:S:1:pos:R:3:momenta:R:3 forces_from=DFT charge=0.5\nH 0 0 0 0 0 0\n"
    )
    assert convert(tmp_path / "d.xyz", tmp_path / "d.h5") == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([{"energy": -1.0, "forces": [[0, 0, 0]]}, {}], "structure 1 .* labels are missing"),
        ([{}, {"energy": -1.0, "forces": [[0, 0, 0]]}], "structure 1 .*'energy', 'forces'"),
        ([{"energy": -1.0}], "structure 0 .* labels are 'energy'; expected 'energy' and 'forces'"),
    ],
)
def test_partial_labels_are_blamed_on_the_source(tmp_path, labels, message):
    source = tmp_path / "d.xyz"
    write_extxyz(source, [Structure([1], [[0, 0, 0]], **some) for some in labels])
    with pytest.raises(InputError, match=f"^{source}: {message}"):
        convert(source, tmp_path / "d.h5")
