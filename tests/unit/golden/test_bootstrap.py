import numpy as np
import pytest

from mlffd.golden import bootstrap
from mlffd.golden.bootstrap import RESOLUTION, Change, relative_change
from mlffd.golden.compare import ROUNDING
from mlffd.golden.metrics import METRICS

ENERGY, FORCES_MAE, FORCES_RMSE = METRICS


def errors(generator, count=200):
    """Per-structure terms of a mean absolute error: hard structures and easy ones."""
    return np.stack([generator.gamma(2.0, 0.05, count), np.ones(count)], axis=1)


def noisy(generator, terms, factor):
    """Another model's terms: every structure's error scaled, with 3% noise of its own."""
    noise = 1.0 + 0.03 * generator.normal(size=len(terms))
    return np.stack([terms[:, 0] * factor * noise, terms[:, 1]], axis=1)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_equal_predictions_have_exactly_no_change(metric):
    terms = errors(np.random.default_rng(0))

    assert relative_change(metric, terms, terms.copy()) == Change(0.0, 0.0, 0.0)


def test_the_interval_is_the_same_in_every_run():
    generator = np.random.default_rng(1)
    baseline = errors(generator)
    candidate = noisy(generator, baseline, 1.02)

    first = relative_change(ENERGY, baseline, candidate)

    assert relative_change(ENERGY, baseline, candidate) == first
    assert first.low < first.estimate < first.high


def test_the_estimate_is_the_ratio_of_the_metrics():
    generator = np.random.default_rng(2)
    baseline, candidate = errors(generator), errors(generator)

    change = relative_change(FORCES_RMSE, baseline, candidate)

    expected = FORCES_RMSE.value(candidate) / FORCES_RMSE.value(baseline) - 1.0
    assert change.estimate == pytest.approx(expected, rel=1e-12)


def test_what_makes_a_structure_hard_cancels():
    """The same 5% on every structure is certain, however much structures differ."""
    terms = errors(np.random.default_rng(3))

    change = relative_change(ENERGY, terms, terms * [1.05, 1.0])

    assert change == pytest.approx((0.05, 0.05, 0.05))


def test_one_percent_worse_under_three_percent_noise_is_caught(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)  # as decisive, and cheap enough here
    caught = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        baseline = errors(generator)
        change = relative_change(ENERGY, baseline, noisy(generator, baseline, 1.01))
        caught += change.low > ROUNDING

    assert caught >= 95


def test_noise_alone_is_rarely_called_a_regression(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)
    alarms = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        baseline = errors(generator)
        change = relative_change(ENERGY, baseline, noisy(generator, baseline, 1.0))
        alarms += change.low > ROUNDING

    assert alarms <= 5


def test_the_interval_covers_a_known_change_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)
    covered = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        baseline = errors(generator)
        change = relative_change(ENERGY, baseline, noisy(generator, baseline, 1.2))
        covered += change.low <= 0.2 <= change.high

    assert 88 <= covered <= 99  # 95 of 100, with a standard deviation of 2


def test_an_exact_baseline_is_compared_without_dividing_by_zero():
    exact = np.stack([np.zeros(20), np.ones(20)], axis=1)
    wrong = exact + np.array([1e-3, 0.0])

    assert relative_change(ENERGY, exact, exact) == Change(0.0, 0.0, 0.0)
    expected = 1e-3 / RESOLUTION
    assert relative_change(ENERGY, exact, wrong) == pytest.approx((expected,) * 3)
    assert relative_change(ENERGY, wrong, exact) == pytest.approx((-1.0,) * 3)


def test_a_resample_without_any_error_is_no_special_case():
    """One structure of twenty carries all of the error: a third of the resamples miss it."""
    baseline = np.stack([np.zeros(20), np.ones(20)], axis=1)
    baseline[7, 0] = 0.1

    change = relative_change(ENERGY, baseline, baseline * [2.0, 1.0])

    assert change == pytest.approx((1.0, 0.0, 1.0))
