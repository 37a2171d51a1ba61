"""Conformers: whole molecules at minima of a surface whose forces are its gradient."""

import numpy as np
import pytest
from molecule_samples import chain

from mlffd.distill.conformers import TINY, MmffCalculator, embed, numbers_of, relax
from mlffd.distill.molecules import Molecule
from mlffd.distill.teacher import gfn2
from mlffd.errors import InputError

ETHANOL = Molecule("CCO", "ethanol", "alcohol")
NITROGEN = Molecule("N#N", "nitrogen", "small-inorganic")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def rdkit():
    return pytest.importorskip("rdkit.Chem", reason="conformers are made by rdkit")


@pytest.fixture
def tblite():
    return pytest.importorskip("tblite", reason="tiny molecules are relaxed with tblite")


def test_forces_of_mmff_are_the_negative_gradient_also_after_moves(rdkit):
    """RDKit's gradient alone belongs to the positions of the last energy."""
    ethanol = embed(ETHANOL, rng())
    assert isinstance(ethanol.surface(), MmffCalculator)
    start = ethanol.minima[0] + 0.05 * rng().normal(size=(9, 3))
    atoms = ethanol.atoms(ethanol.minima[0])
    atoms.get_forces()
    atoms.positions = start
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 1
    step = 1e-4
    for atom, axis in [(0, 0), (2, 1), (5, 2)]:
        energies = []
        for sign in (1, -1):
            atoms.positions = start
            atoms.positions[atom, axis] += sign * step
            energies.append(atoms.get_potential_energy())
        slope = (energies[0] - energies[1]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-4)


def test_minima_are_minima_with_all_hydrogens(rdkit):
    ethanol = embed(ETHANOL, rng())
    assert np.bincount(ethanol.numbers).nonzero()[0].tolist() == [1, 6, 8]
    assert len(ethanol.numbers) == len(numbers_of(ETHANOL)) == 9
    for minimum in ethanol.minima:
        assert np.abs(ethanol.atoms(minimum).get_forces()).max() < 0.05
        assert ethanol.is_whole(minimum, minimum)


def test_conformers_of_a_flexible_molecule_differ(rdkit):
    flexible = embed(Molecule("CCCCCCO", "hexanol", "alcohol"), rng())
    assert len(flexible.minima) == 3
    spans = [np.linalg.norm(x[0] - x[6]) for x in flexible.minima]
    assert max(spans) - min(spans) > 0.1
    assert len(embed(Molecule("CCCCCCO", "hexanol", "alcohol"), rng(), most=1).minima) == 1


def test_bonds_of_rings_are_no_bridges(rdkit):
    toluene = embed(Molecule("Cc1ccccc1", "toluene", "arene"), rng())
    assert (~toluene.is_bridge).sum() == 6
    assert toluene.is_bridge.sum() == 9  # the methyl group and every hydrogen


def test_a_tiny_molecule_is_that_of_the_teacher(rdkit, tblite):
    nitrogen = embed(NITROGEN, rng())
    assert len(nitrogen.numbers) <= TINY
    assert nitrogen.is_teachers
    (minimum,) = nitrogen.minima
    assert np.linalg.norm(minimum[1] - minimum[0]) == pytest.approx(1.1, abs=0.05)
    atoms = nitrogen.atoms(minimum)
    atoms.calc = gfn2()
    assert np.abs(atoms.get_forces()).max() < 0.05


def test_steps_on_the_teachers_surface_lower_its_forces(rdkit, tblite):
    ethanol = embed(ETHANOL, rng())
    strongest = []
    for positions in (ethanol.minima[0], relax(ethanol.numbers, ethanol.minima[0], steps=8)):
        atoms = ethanol.atoms(positions)
        atoms.calc = gfn2()
        strongest.append(np.abs(atoms.get_forces()).max())
    assert strongest[1] < strongest[0] / 3


def test_the_same_seed_gives_the_same_conformers(rdkit):
    twice = (embed(ETHANOL, rng()).minima for _ in range(2))
    for first, second in zip(*twice, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("smiles", ["C1CC", "nonsense"])
def test_a_smiles_that_is_none_is_named(rdkit, smiles):
    with pytest.raises(InputError, match=f"broken: RDKit cannot read the SMILES '{smiles}'"):
        embed(Molecule(smiles, "broken", "x"), rng())


def test_a_molecule_that_cannot_be_embedded_is_named(rdkit, monkeypatch):
    geometry = pytest.importorskip("rdkit.Chem.rdDistGeom")
    monkeypatch.setattr(geometry, "EmbedMultipleConfs", lambda *_: [])
    with pytest.raises(InputError, match="ethanol: RDKit cannot embed 'CCO' with seed"):
        embed(ETHANOL, rng())


def test_a_broken_bond_and_an_overlap_are_seen():
    molecule = chain(3)
    (minimum,) = molecule.minima
    broken = minimum + np.array([[0, 0, 0], [0, 0, 0], [1.0, 0, 0]])
    folded = minimum.copy()
    folded[2] = folded[0] + 0.2
    assert molecule.is_whole(minimum + 0.1, minimum)
    assert not molecule.is_whole(broken, minimum)
    assert not molecule.is_whole(folded, minimum)
    assert not molecule.is_whole(minimum * np.nan, minimum)


@pytest.mark.parametrize(
    ("smiles", "complaint"),
    [
        ("C[NH3+]", r"m: 'C\[NH3\+\]' has charge \+1, expected a neutral molecule"),
        ("*C", r"m: '\*C': expected nothing but elements"),
        ("C1CC", "m: RDKit cannot read the SMILES 'C1CC'"),
    ],
)
def test_what_no_teacher_could_label_is_refused(rdkit, smiles, complaint):
    with pytest.raises(InputError, match=complaint):
        numbers_of(Molecule(smiles, "m", "x"))


def test_charges_that_cancel_are_neutral(rdkit):
    assert sorted(numbers_of(Molecule("C[N+](=O)[O-]", "nitromethane", "x"))) == [
        *([1] * 3),
        6,
        7,
        8,
        8,
    ]
