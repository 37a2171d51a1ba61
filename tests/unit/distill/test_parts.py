"""Parts: what is written comes back to the last bit."""

from dataclasses import fields

import numpy as np
import pytest

from mlffd.distill.parts import Part, read_part, write_part
from mlffd.errors import InputError
from mlffd.structures.structure import Structure


def labelled_cell() -> Structure:
    rng = np.random.default_rng(0)
    return Structure(
        numbers=np.array([8, 1, 1]),
        positions=rng.normal(size=(3, 3)) / 3,
        cell=np.eye(3) * 4 + rng.normal(size=(3, 3)) / 7,
        pbc=np.ones(3, dtype=bool),
        energy=float(rng.normal()) * 1e-9,
        forces=rng.normal(size=(3, 3)) * 1e5,
        stress=rng.normal(size=(3, 3)),
        name="water/cell-0",
    )


def test_structures_and_failures_come_back_to_the_last_bit(tmp_path):
    cell = labelled_cell()
    atom = Structure(numbers=np.array([1]), positions=np.zeros((1, 3)), name="H/atom")
    write_part(tmp_path / "part.json", Part([cell, atom], [("x/min-0", "it is “odd”")]))
    part = read_part(tmp_path / "part.json")
    assert part.failures == [("x/min-0", "it is “odd”")]
    for original, found in zip([cell, atom], part.structures, strict=True):
        for field in fields(Structure):
            expected, value = getattr(original, field.name), getattr(found, field.name)
            if isinstance(expected, np.ndarray):
                assert value.dtype == expected.dtype
                np.testing.assert_array_equal(value, expected)
            else:
                assert value == expected


@pytest.mark.parametrize("content", ["", "[]", '{"structures": [{}], "failures": []}'])
def test_what_is_no_part_is_refused(tmp_path, content):
    (tmp_path / "part.json").write_text(content)
    with pytest.raises(InputError, match=r"part\.json: no part of a data set"):
        read_part(tmp_path / "part.json")
