import numpy as np
import pytest
from ase.data import atomic_numbers

from mlffd.structures import probes
from mlffd.structures.neighbours import find_neighbours
from mlffd.structures.structure import Structure


def elements(*symbols: str) -> frozenset[int]:
    return frozenset(atomic_numbers[s] for s in symbols)


def closest(structure: Structure) -> float:
    edges, shifts = find_neighbours(structure, 8.0)
    vectors = structure.positions[edges[0]] - structure.positions[edges[1]] + shifts
    return float(np.linalg.norm(vectors, axis=1).min())


@pytest.mark.parametrize(
    "covered", [probes.ELEMENTS, elements("Cu"), elements("Si", "O"), elements("H", "C", "Br")]
)
def test_any_elements_have_probes_of_odd_and_even_size_and_nothing_else_in_them(covered):
    found = probes.molecules(covered)
    assert {len(s) % 2 for s in found} == {0, 1}
    assert min(len(s) for s in found) == 2
    assert [len(s) for s in found] == sorted((len(s) for s in found), reverse=True)
    for structure in [*found, *probes.crystals(covered)]:
        assert set(structure.numbers.tolist()) <= covered
        assert closest(structure) > 0.5


def test_probe_molecules_together_hold_every_element():
    found = probes.molecules(probes.ELEMENTS)
    assert frozenset(np.concatenate([s.numbers for s in found]).tolist()) == probes.ELEMENTS


def test_molecules_at_rest_together_hold_every_element_and_are_whole():
    found = probes.minima(probes.ELEMENTS)
    assert frozenset(np.concatenate([s.numbers for s in found]).tolist()) == probes.ELEMENTS
    assert len(found) == 3
    assert all(0.9 < closest(s) < 1.2 for s in found)  # a bond to hydrogen
    assert probes.minima(elements("C", "O")) == []
    assert [s.name for s in probes.minima(elements("H", "C", "N", "O", "S"))] == [
        "methanesulfonamide"
    ]


def test_periodic_probes_hold_what_breaks_careless_codes():
    crystals = probes.crystals(probes.ELEMENTS)
    assert any(not c.pbc.all() for c in crystals)
    assert any(np.abs(c.cell - np.diag(np.diag(c.cell))).max() > 1 for c in crystals)
    assert any(np.linalg.norm(c.cell, axis=1).min() < 5 for c in crystals)
    fractional = np.concatenate([c.positions @ np.linalg.inv(c.cell) for c in crystals])
    assert ((fractional < 0) | (fractional >= 1)).any()


@pytest.mark.parametrize("covered", [probes.ELEMENTS, elements("Cu")])
def test_symmetric_probes_cancel_to_the_last_bit(covered):
    atom, *molecules = probes.symmetric(covered)
    assert len(atom) == 1
    assert molecules
    for structure in molecules:
        sums = [(structure.positions - center).sum(axis=0) for center in structure.positions]
        assert any((total == 0).all() for total in sums), structure.name


def test_the_same_probes_in_every_run():
    for one, other in zip(
        probes.molecules(probes.ELEMENTS), probes.molecules(probes.ELEMENTS), strict=True
    ):
        assert (one.positions == other.positions).all()
