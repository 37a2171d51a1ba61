"""Values from a file are counted before they are walked, and names are shown safely."""

import math

import pytest

from mlffd.checkpoints.plain import is_plain_scalar, require_plain, shown, shown_list
from mlffd.errors import InputError


@pytest.mark.parametrize("value", [None, True, 0, -(2**62), 1.5, "text", "", "x" * 100_000])
def test_plain_scalars(value):
    assert is_plain_scalar(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, "x" * 100_001, b"x", 1j])
def test_what_is_no_plain_scalar(value):
    assert not is_plain_scalar(value)


def test_nested_plain_values_pass_and_the_place_of_a_fault_is_named():
    value = {"a": [1, {"b": None}], "c": {}}
    require_plain(value, "f: training")
    value["a"][1]["b"] = b"x"
    with pytest.raises(InputError, match=r"^f: training\['a'\]\[1\]\['b'\]: is a bytes, expected"):
        require_plain(value, "f: training")


def test_list_that_holds_itself_twice_is_refused_at_once():
    value = []
    value += [value, value]
    with pytest.raises(InputError, match="too large"):
        require_plain(value, "f")


def test_more_than_ten_thousand_values_are_refused_lists_themselves_included():
    require_plain([0] * 9_999, "f")
    ten_thousand = {str(key): 0 for key in range(10_000)}
    for value in ([0] * 10_000, ten_thousand, [[0] * 5_000, [0] * 5_000]):
        with pytest.raises(InputError, match="10000 values nested at most 20 deep"):
            require_plain(value, "f")
    # Of more at once, no copy is made.
    for value in ([0] * 10_001, {**ten_thousand, "one more": 0}):
        with pytest.raises(InputError, match=r"f: too large, expected at most 10000 values$"):
            require_plain(value, "f")


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}])
def test_more_than_twenty_levels_are_refused(wrap):
    value = 0
    for _ in range(20):
        value = wrap(value)
    require_plain(value, "f")
    with pytest.raises(InputError, match="nested at most 20 deep"):
        require_plain(wrap(value), "f")


def test_names_are_shown_on_one_short_line():
    assert shown("a.b") == "'a.b'"
    assert shown("\x1b[31m\n").isprintable()
    assert len(shown("x" * 1000)) < 100
    assert shown(3) == "<int>"
    assert shown("x" * 80) == repr("x" * 80)
    assert shown("x" * 81) == repr("x" * 77) + "..."


def test_long_lists_of_names_are_cut():
    assert shown_list(["a", "b"]) == "'a', 'b'"
    assert shown_list(list("abcdef")) == "'a', 'b', 'c', 'd', 'e', 'f'"
    assert shown_list([str(i) for i in range(10)]) == "'0', '1', '2', '3', '4', '5' and 4 more"
