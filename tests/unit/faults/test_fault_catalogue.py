"""What is and what is not a fault of the catalogue."""

from collections.abc import Iterator

import pytest

from mlffd.faults import catalogue
from mlffd.faults.catalogue import all_faults, fault


@pytest.fixture(autouse=True)
def _own_catalogue(monkeypatch):
    all_faults()  # imports those of the package
    monkeypatch.setattr(catalogue, "_FAULTS", {})
    for function in (planted, once, silent):  # the module is the concern
        monkeypatch.setattr(function, "__module__", "mlffd.faults.weights")


def planted(healthy, size) -> Iterator[str]:
    """It is wrong.

    It came about.
    """
    yield f"{healthy} {size}"


def once(healthy) -> Iterator[str]:
    """It is wrong.

    It came about
    somehow.
    """
    yield healthy


def silent(healthy) -> Iterator[str]:
    """It is wrong."""
    yield healthy


def test_a_fault_is_a_function_with_a_docstring():
    fault(caught_by=["loads"], seen_in="somebody/something#1")(once)
    (found,) = all_faults()
    assert (found.name, found.summary, found.imitates) == (
        *("once", "It is wrong."),
        "It came about somehow.",
    )
    assert (found.sizes, found.limit, found.is_timed) == ((1.0,), 1.0, False)
    with found.plant("the student", 1.0) as subject:
        assert subject == "the student"


def test_a_fault_with_sizes_is_given_one():
    fault(caught_by=["loads"], sizes=[0.1, 0.2], limit=0.2, unit="eV")(planted)
    (found,) = all_faults()
    assert (found.sizes, found.limit, found.unit) == ((0.1, 0.2), 0.2, "eV")
    with found.plant("the student", 0.1) as subject:
        assert subject == "the student 0.1"


def test_the_least_size_is_the_limit_unless_another_is_stated():
    fault(caught_by=["loads"], sizes=[0.1, 0.2])(planted)
    assert all_faults()[0].limit == 0.1


@pytest.mark.parametrize(
    ("function", "options", "reason"),
    [
        (silent, {"caught_by": ["loads"]}, "does not say what is wrong, and what it imitates"),
        (once, {}, "is caught by no check"),
        (planted, {"caught_by": ["loads"], "sizes": [0.2, 0.1]}, "not one of its sizes in order"),
        (planted, {"caught_by": ["loads"], "sizes": [0.1], "limit": 0.2}, "not one of its sizes"),
    ],
    ids=["no reason", "no check", "disorder", "no such size"],
)
def test_what_is_no_fault(function, options, reason):
    with pytest.raises(ValueError, match=reason):
        fault(**options)(function)


def test_names_are_used_once():
    fault(caught_by=["loads"])(once)
    with pytest.raises(ValueError, match="twice"):
        fault(caught_by=["loads"])(once)


def test_a_fault_names_checks_that_exist():
    fault(caught_by=["lodas"])(once)
    with pytest.raises(ValueError, match="there is no check"):
        all_faults()
