import numpy as np

from mlffd.golden.coverage import Coverage, count_elements
from mlffd.golden.records import ElementCount
from mlffd.structures.structure import Structure


def structure(*numbers, pbc=False):
    positions = np.arange(3.0 * len(numbers)).reshape(-1, 3)
    return Structure(numbers, positions, cell=9 * np.eye(3), pbc=[pbc, False, False])


def test_atoms_and_holders_of_each_element_are_counted():
    found = count_elements([structure(6, 1, 1, 1, 1), structure(1, 1), structure(8, pbc=True)])

    assert found == Coverage(
        by_symbol={
            "H": ElementCount(atoms=6, structures=2),
            "C": ElementCount(atoms=1, structures=1),
            "O": ElementCount(atoms=1, structures=1),
        },
        periodic=1,
        largest=5,
    )


def test_elements_are_in_order_of_atomic_number():
    found = count_elements([structure(17, 6), structure(8, 1)])

    assert list(found.by_symbol) == ["H", "C", "O", "Cl"]


def test_a_stream_is_read_once():
    found = count_elements(structure(1) for _ in range(3))

    assert found.by_symbol["H"].structures == 3


def test_nothing_covers_nothing():
    assert count_elements([]) == Coverage({}, 0, 0)
