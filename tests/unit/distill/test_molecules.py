"""The list of molecules: one split each, every element everywhere."""

import re
from collections import Counter

import pytest

from mlffd.distill.molecules import ELEMENTS, load_molecules, parse_molecules
from mlffd.errors import InputError

SPLITS = ("train", "validation", "test")


def test_at_least_12_molecules_are_never_trained_on():
    splits = Counter(molecule.split for molecule in load_molecules())
    assert splits["test"] >= 12
    assert splits["validation"] >= 10


@pytest.mark.parametrize("split", SPLITS)
def test_every_heavy_element_is_in_several_molecules_of_every_split(split):
    molecules = [m for m in load_molecules() if m.split == split]
    found = Counter(
        symbol
        for molecule in molecules
        for symbol in {s.capitalize() for s in re.findall(r"Cl|[CNOFPScnops]", molecule.smiles)}
    )
    assert all(found[symbol] >= 2 for symbol in ELEMENTS if symbol != "H"), found


def test_no_molecule_is_in_two_splits_under_two_names():
    chem = pytest.importorskip("rdkit.Chem", reason="canonical SMILES need rdkit")
    # Stereoisomers and tautomers of hydrogen positions count as the same molecule.
    canonical = Counter(
        chem.MolToSmiles(chem.MolFromSmiles(m.smiles), isomericSmiles=False)
        for m in load_molecules()
    )
    assert [smiles for smiles, count in canonical.items() if count > 1] == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("O water", "line 1: expected SMILES, name and split"),
        ("# comment\n\nO water training", "line 3: split is 'training', expected one of train"),
        ("O water train\nN water test", "line 2: the name 'water' comes twice"),
    ],
)
def test_a_bad_line_is_named(text, complaint):
    with pytest.raises(InputError, match=re.escape(f"list.smi, {complaint}")):
        parse_molecules(text, source="list.smi")
