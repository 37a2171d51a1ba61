"""Recipes: the sizes keep their promise, and the last epoch is always validated."""

import pytest

from mlffd.distill.recipe import RECIPES, SIZES, Recipe, require_size
from mlffd.errors import InputError
from mlffd.students import build


@pytest.mark.parametrize(
    ("size", "count"), [("original", 427_292), ("tiny", 77_203), ("ultra_tiny", 21_459)]
)
def test_sizes_have_the_parameters_that_their_names_promise(size, count):
    assert build("StudentForceField", SIZES[size]).parameter_count == count


def test_every_size_has_a_recipe():
    assert RECIPES.keys() == SIZES.keys()


def test_an_unknown_size_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="'huge' is unknown, expected one of original, tiny"):
        require_size("huge")


@pytest.mark.parametrize(("every", "expected"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (9, [5])])
def test_validated_epochs_are_evenly_apart_and_the_last_is_one_of_them(every, expected):
    recipe = Recipe(epochs=5, validate_every=every)
    assert [epoch for epoch in range(1, 6) if recipe.validates(epoch)] == expected
