import numpy as np
import pytest
from ase.symbols import string2symbols

from mlffd.structures.composition import composition, compositions
from mlffd.structures.structure import Structure


def structure(formula):
    symbols = string2symbols(formula)
    rng = np.random.default_rng(0)
    numbers = [{"H": 1, "C": 6, "N": 7, "O": 8, "Cl": 17}[s] for s in symbols]
    return Structure(numbers=np.array(numbers), positions=rng.normal(size=(len(numbers), 3)))


@pytest.mark.parametrize(
    ("formula", "hill"),
    [
        ("OH2", "H2O"),
        ("CH3CH2OH", "C2H6O"),
        ("CH3OCH3", "C2H6O"),  # isomers are not told apart
        ("ClH", "ClH"),
        ("HCN", "CHN"),
        ("NCCl", "CClN"),
        ("CO", "CO"),
        ("OCN", "CNO"),
        ("H", "H"),
    ],
)
def test_formulas_have_carbon_then_hydrogen_then_the_alphabet(formula, hill):
    assert composition(structure(formula)) == hill


def test_the_order_of_atoms_does_not_matter():
    water = structure("OH2")
    assert composition(Structure(water.numbers[::-1], water.positions)) == composition(water)


def test_each_composition_is_listed_once():
    structures = [structure(f) for f in ("OH2", "H2O", "CH4", "CH3OH", "CH4")]
    assert compositions(structures) == ["CH4", "CH4O", "H2O"]
