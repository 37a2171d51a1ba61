import numpy as np
import pytest

from mlffd.structures.naming import OTHER, THERMAL, kind_of, molecules_of, temperature_of
from mlffd.structures.structure import Structure


def named(name: str) -> Structure:
    return Structure(numbers=np.array([1]), positions=np.zeros((1, 3)), name=name)


@pytest.mark.parametrize(
    ("name", "molecules", "kind", "temperature"),
    [
        ("aspirin/300K-0", ("aspirin",), THERMAL, 300.0),
        ("aspirin/1000K", ("aspirin",), THERMAL, 1000.0),
        ("aspirin/scan-0-03", ("aspirin",), "scan", None),
        ("3-methylindole/min-0", ("3-methylindole",), "min", None),
        ("water+hf/pair-0", ("water", "hf"), "pair", None),
        ("water+water/pair-1", ("water",), "pair", None),
        ("urea/cell-0", ("urea",), "cell", None),
        ("H/atom", ("H",), "atom", None),
    ],
)
def test_names_tell_molecules_kind_and_temperature(
    name: str, molecules: tuple[str, ...], kind: str, temperature: float | None
) -> None:
    structure = named(name)
    assert molecules_of(structure) == molecules
    assert kind_of(structure) == kind
    assert temperature_of(structure) == temperature


@pytest.mark.parametrize("name", ["", "frame 17", "300K-0", "water_300K"])
def test_other_names_tell_nothing(name: str) -> None:
    structure = named(name)
    assert molecules_of(structure) == ()
    assert kind_of(structure) == OTHER
    assert temperature_of(structure) is None


@pytest.mark.parametrize("name", ["water/", "/300", "water/Scan-0", "water/x0.93", "a/b/c"])
def test_an_unknown_word_after_the_slash_is_of_another_kind(name: str) -> None:
    assert kind_of(named(name)) == OTHER
