"""Steps in noisy series: found where they are, and nowhere else."""

import math
import sys

import numpy as np
import pytest

from mlffd.errors import InputError, MissingPackageError
from mlffd.performance.change_points import change_points

pytest.importorskip("otava.analysis", reason="pip install --no-deps apache-otava==0.8.0")

NOISE = 0.03


def noisy(levels, seed=0, noise=NOISE):
    """Log ratios around levels, given as (ratio, how many)."""
    generator = np.random.default_rng(seed)
    exact = np.concatenate([np.full(count, math.log(ratio)) for ratio, count in levels])
    return exact + generator.normal(0, noise, len(exact))


def test_a_step_is_found_where_it_is_with_its_size():
    (point,) = change_points(noisy([(1, 20), (1.2, 15)]))
    assert point.index == 20
    assert point.earliest == point.latest == 20
    assert point.before == pytest.approx(1, abs=0.03)
    assert point.change == pytest.approx(0.2, abs=0.04)
    assert point.p_value < 1e-4


def test_a_step_down_is_negative():
    (point,) = change_points(noisy([(1.2, 20), (1, 15)]))
    assert point.change == pytest.approx(-1 / 6, abs=0.04)


def test_two_steps_have_the_level_between_them_in_common():
    first, second = change_points(noisy([(1, 15), (1.3, 15), (1.6, 15)]))
    assert (first.index, second.index) == (15, 30)
    assert first.after == second.before
    assert first.after == pytest.approx(1.3, abs=0.03)


@pytest.mark.parametrize(
    "levels",
    [
        [(1, 20), (0.8, 10), (1, 20)],
        [(1, 15), (0.9, 10), (1, 12)],
        [(1, 10), (0.8, 10), (1, 10), (0.8, 10), (1, 10)],
    ],
)
def test_a_step_back_does_not_hide_a_step(levels):
    """In windows of 50 values, what otava takes by itself, none of these has any."""
    ends = np.cumsum([count for _, count in levels])[:-1]
    found = [[p.index for p in change_points(noisy(levels, seed))] for seed in range(30)]
    right = [len(f) == len(ends) and max(abs(f - ends)) <= 2 for f in map(np.array, found)]
    assert sum(right) >= 28


def test_a_small_step_behind_large_ones_is_found():
    values = noisy([(1, 20), (0.8, 10), (1, 25), (1.08, 25)])
    assert [point.index for point in change_points(values)] == pytest.approx([20, 30, 55], abs=2)


def test_noise_has_no_steps():
    found = [change_points(noisy([(1, 40)], seed)) for seed in range(100)]
    assert not any(found)


def test_a_step_within_the_noise_is_placed_within_an_interval():
    widths = []
    for seed in range(60):
        for point in change_points(noisy([(1, 25), (1.07, 25)], seed)):
            assert point.earliest <= point.index <= point.latest
            widths.append((point.earliest <= 25 <= point.latest, point.latest - point.earliest))
    inside, width = np.mean(widths, axis=0)
    assert len(widths) >= 50  # most of them are found
    assert inside >= 0.9
    assert 2 < width < 12  # it says that it is unsure, but not about everything


def test_one_outlier_is_no_level():
    values = noisy([(1, 30)])
    values[12] += math.log(1.5)
    assert change_points(values) == []


def test_the_last_value_alone_is_no_level_but_the_next_one_makes_it_one():
    values = noisy([(1, 30), (1.5, 2)])
    assert change_points(values[:-1]) == []
    (point,) = change_points(values)
    assert point.index == 30


def test_an_outlier_beside_a_step_belongs_to_the_nearer_level():
    values = noisy([(1, 15), (1.3, 15)])
    values[15] += math.log(1.3)
    (point,) = change_points(values)
    assert point.index == 15
    assert point.after == pytest.approx(1.3, abs=0.03)


@pytest.mark.parametrize("level", [0.1, 1.0, 3.7])
def test_values_without_noise_have_exact_steps_and_rounding_makes_none(level):
    assert change_points([math.log(level)] * 30) == []
    (point,) = change_points([math.log(level)] * 12 + [math.log(level * 1.1)] * 11)
    assert point.index == point.earliest == point.latest == 12
    assert point.change == pytest.approx(0.1)


def test_the_same_series_gives_the_same_answer():
    values = noisy([(1, 20), (1.07, 20)])
    assert change_points(values) == change_points(values.tolist())


@pytest.mark.parametrize("count", range(4))
def test_very_short_series_have_no_steps(count):
    assert change_points([0.0, 0.0, 5.0][:count]) == []


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(InputError, match="expected finite log ratios"):
        change_points([0.0, wrong, 0.1])


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "otava.analysis", None)
    with pytest.raises(MissingPackageError, match=r"--no-deps apache-otava==0\.8\.0$"):
        change_points([0.0] * 10)
