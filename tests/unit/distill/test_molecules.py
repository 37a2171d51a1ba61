"""The list of molecules: plenty of every kind of chemistry, and no molecule twice."""

import re
from collections import Counter

import pytest

from mlffd.distill.molecules import Molecule, load_molecules, parse_molecules
from mlffd.errors import InputError

ELEMENTS = {"H", "C", "N", "O", "F", "P", "S", "Cl"}
# Families that reports and the choice of held-out molecules rely on, and how many belong to each.
FAMILIES = {
    "small-inorganic": 50,
    "n-n": 50,
    "heterocycle": 60,
    "amino-acid": 30,
    "dipeptide": 60,
    "nucleobase": 20,
    "nucleoside": 20,
    "sulfonamide": 30,
    "phosphate": 30,
    "fluoro": 50,
    "chloro": 50,
    "drug-like": 60,
    "large": 14,
}
# Molecules that hold each element, and at least one N-N bond.
HOLDING = {"S": 200, "F": 180, "Cl": 180, "P": 120, "N-N": 150}


@pytest.fixture(scope="module")
def chem():
    return pytest.importorskip("rdkit.Chem", reason="reading SMILES needs rdkit")


@pytest.fixture(scope="module")
def parsed(chem):
    """All molecules of the list with explicit hydrogens, and their families, by name."""
    made = {m.name: (m.family, chem.MolFromSmiles(m.smiles)) for m in load_molecules()}
    assert [name for name, (_, molecule) in made.items() if molecule is None] == []
    return {name: (family, chem.AddHs(molecule)) for name, (family, molecule) in made.items()}


def test_hundreds_of_molecules_of_every_family():
    molecules = load_molecules()
    assert len(molecules) >= 800
    families = Counter(molecule.family for molecule in molecules)
    assert {f: families[f] for f, least in FAMILIES.items() if families[f] < least} == {}


def test_every_family_has_a_name_that_fits_into_reports():
    families = {molecule.family for molecule in load_molecules()}
    assert [f for f in families if not re.fullmatch(r"[a-z-]{3,20}", f)] == []


def test_every_heavy_element_is_written_in_many_molecules():
    found = Counter(
        symbol
        for molecule in load_molecules()
        for symbol in {s.capitalize() for s in re.findall(r"Cl|[CNOFPScnops]", molecule.smiles)}
    )
    assert set(found) | {"H"} == ELEMENTS
    assert min(found.values()) >= 100


def test_every_molecule_is_neutral_without_radicals_and_of_known_elements(parsed):
    for name, (_, molecule) in parsed.items():
        atoms = list(molecule.GetAtoms())
        assert {a.GetSymbol() for a in atoms} <= ELEMENTS, name
        assert sum(a.GetFormalCharge() for a in atoms) == 0, name
        assert sum(a.GetNumRadicalElectrons() for a in atoms) == 0, name


def test_no_molecule_is_listed_under_two_names(chem, parsed):
    # Stereoisomers count as the same molecule: the list leaves stereochemistry open.
    canonical = Counter(
        chem.MolToSmiles(chem.RemoveHs(molecule), isomericSmiles=False)
        for _, molecule in parsed.values()
    )
    assert [smiles for smiles, count in canonical.items() if count > 1] == []
    assert [smiles for smiles in canonical if "." in smiles] == [], "one molecule per line"


def test_rare_elements_and_n_n_bonds_are_frequent(chem, parsed):
    n_n = chem.MolFromSmarts("[#7]~[#7]")
    found = Counter(
        label
        for _, molecule in parsed.values()
        for label in {a.GetSymbol() for a in molecule.GetAtoms()}
        | ({"N-N"} if molecule.HasSubstructMatch(n_n) else set())
    )
    assert {k: found[k] for k, least in HOLDING.items() if found[k] < least} == {}


def test_sizes_are_cheap_to_learn_from_apart_from_the_large_ones(parsed):
    sizes = {name: molecule.GetNumAtoms() for name, (_, molecule) in parsed.items()}
    small = [sizes[name] for name, (family, _) in parsed.items() if family != "large"]
    assert min(small) == 2
    assert max(small) <= 45
    assert 15 <= sum(small) / len(small) <= 20
    assert sum(size > 36 for size in small) <= 0.08 * len(small)
    large = [sizes[name] for name, (family, _) in parsed.items() if family == "large"]
    assert 100 <= min(large) <= max(large) <= 190


def test_mmff_knows_all_but_a_few_small_molecules(parsed):
    force_fields = pytest.importorskip("rdkit.Chem.rdForceFieldHelpers", reason="needs rdkit")
    unknown = {
        name: molecule.GetNumAtoms()
        for name, (_, molecule) in parsed.items()
        if not force_fields.MMFFHasAllMoleculeParams(molecule)
    }
    assert len(unknown) <= 0.02 * len(parsed)
    assert max(unknown.values()) <= 12


def test_comments_and_empty_lines_are_skipped():
    assert parse_molecules("# water\n\nO water small-inorganic\n", source="list.smi") == [
        Molecule(smiles="O", name="water", family="small-inorganic")
    ]


def test_a_triple_bond_does_not_start_a_comment():
    (molecule,) = parse_molecules("C#N hydrogen-cyanide nitrile", source="list.smi")
    assert molecule.smiles == "C#N"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("O water", "line 1: expected SMILES, name and family, found 'O water'"),
        ("O water small inorganic", "line 1: expected SMILES, name and family"),
        ("# comment\n\nO heavy/water x", "line 3: the name is 'heavy/water', expected lower case"),
        ("O water+ice x", "line 1: the name is 'water+ice', expected lower case"),
        ("O Water x", "line 1: the name is 'Water', expected lower case"),
        ("O water x\nN water x", "line 2: the name 'water' comes twice"),
    ],
)
def test_a_bad_line_is_named(text, complaint):
    with pytest.raises(InputError, match=re.escape(f"list.smi, {complaint}")):
        parse_molecules(text, source="list.smi")


def test_a_list_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"list\.smi: expected lines of SMILES, name and family"):
        parse_molecules("# water\n\n", source="list.smi")
