import numpy as np
import pytest

from mlffd.golden.coverage import Coverage, measure_coverage
from mlffd.golden.records import ElementCount
from mlffd.structures.structure import Structure


def structure(*numbers, pbc=False, spacing=2.0, **labels):
    positions = spacing * np.arange(len(numbers))[:, None] * [0.0, 0.6, 0.8]
    return Structure(numbers, positions, cell=29 * np.eye(3), pbc=[pbc, False, False], **labels)


def test_elements_kinds_and_sizes_are_counted():
    found = measure_coverage(
        [
            structure(6, 1, 1, 1, 1),
            structure(1, 1, energy=-3.0, forces=[[0, 0, 3.0], [0, 0, -3.0]]),
            structure(8, pbc=True, energy=-2.0, forces=np.zeros((1, 3)), stress=np.eye(3)),
            structure(8, energy=-1.75),  # without forces, it is not labelled
        ]
    )

    assert found == Coverage(
        elements={
            "H": ElementCount(atoms=6, structures=2),
            "C": ElementCount(atoms=1, structures=1),
            "O": ElementCount(atoms=2, structures=2),
        },
        kinds={"periodic": 1, "labelled": 2, "stress": 1},
        largest=5,
        typical={
            "nearest_distance": pytest.approx(2.0),
            "energy_per_atom": 1.75,
            "forces_rms": pytest.approx(np.sqrt(18 / 9)),
        },
    )


def test_the_nearest_distance_is_the_median_and_sees_images():
    near, far = structure(1, 1, spacing=0.7), structure(1, 1, spacing=2.5)
    own_image = Structure([1], [[0, 0, 0]], cell=1.1 * np.eye(3), pbc=[True, True, True])

    found = measure_coverage([near, own_image, far])

    assert found.typical["nearest_distance"] == pytest.approx(1.1)


def test_elements_are_in_order_of_atomic_number():
    found = measure_coverage([structure(17, 6), structure(8, 1)])

    assert list(found.elements) == ["H", "C", "O", "Cl"]


def test_a_stream_is_read_once():
    found = measure_coverage(structure(1) for _ in range(3))

    assert found.elements["H"].structures == 3


def test_nothing_covers_nothing():
    assert measure_coverage([]) == Coverage({}, {"periodic": 0, "labelled": 0, "stress": 0}, 0, {})
