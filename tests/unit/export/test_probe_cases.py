"""Cases cover the sizes that go wrong, and usual ones have none of what makes a size unusual."""

import numpy as np
import pytest
from ase.data import atomic_numbers

from mlffd.errors import InputError
from mlffd.export.probe_cases import probe_cases, probed_elements
from mlffd.structures import probes
from mlffd.structures.neighbours import find_neighbours

CUTOFF = 5.0


def elements(*symbols):
    return frozenset(atomic_numbers[s] for s in symbols)


SETS = [probes.ELEMENTS, elements("Cu"), elements("H", "Cl"), elements("Si", "O")]


def named(found):
    return {case.name: case for case in found}


def sizes(case):
    return [len(structure) for structure in case.structures]


def edges(case):
    return sum(find_neighbours(s, CUTOFF).edge_index.shape[1] for s in case.structures)


@pytest.mark.parametrize("covered", SETS)
def test_usual_structures_are_even_and_no_atom_of_them_is_alone(covered):
    usual = [case for case in probe_cases(covered, periodic=True) if case.usual]
    for structure in (s for case in usual for s in case.structures):
        if not structure.is_periodic:
            assert len(structure) >= 4
        assert len(structure) % 2 == 0
        destinations = find_neighbours(structure, CUTOFF).edge_index[1]
        assert set(destinations.tolist()) == set(range(len(structure)))


@pytest.mark.parametrize("covered", SETS)
def test_every_case_is_of_the_elements_that_were_asked_for_at_distances_that_occur(covered):
    for case in probe_cases(covered, periodic=True):
        for structure in case.structures:
            assert set(structure.numbers.tolist()) <= covered
            edge_index, shifts = find_neighbours(structure, CUTOFF)
            source, destination = structure.positions[edge_index]
            distances = np.linalg.norm(source - destination + shifts, axis=1)
            assert distances.min(initial=np.inf) > 0.5


@pytest.mark.parametrize("covered", SETS)
def test_the_sizes_that_go_wrong_are_there(covered):
    unusual = named(case for case in probe_cases(covered, periodic=True) if not case.usual)
    for name, count in (
        *(("1 atom", 1), ("2 atoms", 2), ("3 atoms", 3), ("187 atoms", 187)),
        ("1,000 atoms", 1000),
    ):
        assert sizes(unusual[name]) == [count]
    assert [sizes(unusual[f"an {kind} molecule"])[0] % 2 for kind in ("odd", "even")] == [1, 0]
    assert edges(unusual["no edges"]) == edges(unusual["no edges in a cell"]) == 0
    mixed = sizes(unusual["isolated atoms first, in the middle and last"])
    assert mixed[0] == mixed[-1] == 1
    assert 1 in mixed[1:-1]
    assert len(set(mixed)) > 2
    assert {n % 2 for n in sizes(unusual["odd cells smaller than the cutoff"])} == {1}
    assert len(unusual["65 structures"].structures) == 65


def test_cells_are_skewed_smaller_than_the_cutoff_and_larger():
    found = [c for case in probe_cases(probes.ELEMENTS, periodic=True) for c in case.structures]
    cells = [structure.cell for structure in found if structure.is_periodic]
    lengths = np.array([np.linalg.norm(cell, axis=1).min() for cell in cells])
    assert lengths.min() < CUTOFF
    assert lengths.max() > 2 * CUTOFF
    assert any(abs(cell[0] @ cell[1]) > 1 for cell in cells)


def test_a_student_without_cells_is_asked_about_molecules_only():
    found = probe_cases(probes.ELEMENTS, periodic=False)
    assert not any(s.is_periodic for case in found for s in case.structures)
    assert "1,000 atoms" in named(found)


def test_the_middle_of_a_straight_molecule_has_no_vector_to_the_last_bit():
    straight = named(probe_cases(probes.ELEMENTS, periodic=False))["straight molecules"]
    positions = straight.structures[0].positions.astype(np.float32)
    for middle, one, other in (positions[:3], positions[3:]):
        assert ((one - middle) == -(other - middle)).all()
    without = probe_cases(probes.ELEMENTS, periodic=False, symmetric=False)
    assert "straight molecules" not in named(without)


def test_every_run_asks_about_the_same_structures():
    first, second = (probe_cases(probes.ELEMENTS, periodic=True) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert (one.name, one.usual) == (other.name, other.usual)
        for a, b in zip(one.structures, other.structures, strict=True):
            np.testing.assert_array_equal(a.positions, b.positions)


def test_cases_are_made_of_usual_elements_if_any_of_them_was_trained():
    assert probed_elements(None) == probes.ELEMENTS
    assert probed_elements(elements("H", "O", "Cu")) == elements("H", "O")
    assert probed_elements(elements("Cu", "Ni")) == elements("Cu", "Ni")
    with pytest.raises(InputError, match="no element was trained"):
        probed_elements(frozenset())
