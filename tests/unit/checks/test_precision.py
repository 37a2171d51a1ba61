"""How much worse an error became."""

import math

import pytest

from mlffd.checks.precision import Growth


def test_an_error_that_grew_is_what_it_is():
    assert Growth(before=0.2, after=0.21, change=0.03).relative == pytest.approx(0.05)


def test_an_error_that_shrank_by_luck_counts_as_one_that_had_nothing_to_do_with_the_change():
    assert Growth(before=0.4, after=0.2, change=0.3).relative == pytest.approx(0.25)


def test_the_same_predictions_cost_nothing():
    assert Growth(before=0.4, after=0.4, change=0.0).relative == 0.0
    assert Growth(before=0.0, after=0.0, change=0.0).relative == 0.0


def test_a_student_without_errors_may_not_get_any():
    assert Growth(before=0.0, after=1e-6, change=1e-6).relative == math.inf


@pytest.mark.parametrize("growth", [Growth(0.1, math.nan, 0.1), Growth(0.1, 0.1, math.nan)])
def test_what_is_no_number_is_never_small(growth):
    assert math.isnan(growth.relative)
