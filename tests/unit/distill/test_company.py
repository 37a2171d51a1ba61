"""Molecules in company: only those of the pool, called by what they are made of."""

import numpy as np
import pytest

from mlffd.distill.company import (
    CRYSTAL_ATOMS,
    LARGEST_LIQUID,
    LARGEST_MEMBER,
    PAIRS,
    POINTS,
    in_company,
)
from mlffd.distill.molecules import Molecule
from mlffd.structures.naming import kind_of, molecules_of
from mlffd.structures.structure import Structure

POOL = (
    Molecule("CCO", "ethanol", "alcohol"),
    Molecule("CCF", "fluoroethane", "fluoro"),
    Molecule("CCCCCCCCCC", "decane", "hydrocarbon"),
    Molecule("CCS", "ethanethiol", "sulfur"),
)
SEEDS = 5
SIZES = {"ethanol": 9, "fluoroethane": 8, "ethanethiol": 9}


@pytest.fixture(scope="module")
def made() -> list[Structure]:
    for package in ("rdkit", "tblite"):
        pytest.importorskip(package, reason=f"structures are made with {package}")
    return [s for seed in range(SEEDS) for s in in_company(POOL, np.random.default_rng(seed))]


def test_only_small_molecules_of_the_pool_are_used(made):
    used = {name for structure in made for name in molecules_of(structure)}
    assert used == set(SIZES)
    assert max(SIZES.values()) <= LARGEST_MEMBER < 32  # decane stays alone


def test_pairs_are_called_by_their_two_molecules(made):
    pairs = [s for s in made if kind_of(s) == "pair"]
    assert pairs
    for structure in pairs:
        names = structure.name.partition("/")[0].split("+")
        assert len(structure) == sum(SIZES[name] for name in names)
        assert not structure.is_periodic


def test_there_are_as_many_meetings_as_planned(made):
    meetings = [s for s in made if kind_of(s) == "pair" or s.name.endswith("-00")]
    assert len(meetings) == SEEDS * PAIRS
    points = [s for s in made if kind_of(s) == "scan"]
    assert len(points) == POINTS * sum(s.name.endswith("-00") for s in points) > 0


def test_cells_are_periodic_and_of_the_planned_sizes(made):
    cells = [s for s in made if kind_of(s) == "cell"]
    assert cells
    assert all(s.pbc.all() for s in cells)
    assert all(min(CRYSTAL_ATOMS) <= len(s) <= LARGEST_LIQUID for s in cells)
    assert all(s.is_periodic == (kind_of(s) == "cell") for s in made)


def test_names_are_unique_in_a_pool(made):
    names = [s.name for s in in_company(POOL, np.random.default_rng(0))]
    assert len(set(names)) == len(names)


def test_a_pool_of_large_molecules_makes_nothing():
    pytest.importorskip("rdkit", reason="molecules are read by rdkit")
    assert list(in_company(POOL[2:3], np.random.default_rng(0))) == []
