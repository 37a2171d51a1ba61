from dataclasses import replace

import numpy as np
import pytest
from golden_samples import make_structures, perturbed

from mlffd.golden import bootstrap
from mlffd.golden.bootstrap import (
    ENOUGH,
    RESAMPLES,
    Change,
    Figure,
    Units,
    figures,
    relative_change,
    resampling_units,
)
from mlffd.golden.compare import ROUNDING
from mlffd.golden.metrics import METRICS
from mlffd.golden.residuals import residuals

BY_NAME = {metric.name: metric for metric in METRICS}
ENERGY, FORCES_RMSE = BY_NAME["energy_mae_per_atom"], BY_NAME["forces_rmse"]


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
    expected = 1e-3 / 1e-6  # eV per atom: less is no error
    assert relative_change(ENERGY, exact, wrong) == pytest.approx((expected,) * 3)
    assert relative_change(ENERGY, wrong, exact) == pytest.approx((-1.0,) * 3)


def test_as_many_resamples_are_drawn_as_promised():
    (sums,) = bootstrap._resampled_sums(np.ones((20, 2)))

    assert sums.shape == (RESAMPLES, 2)
    assert (sums == 20.0).all()


def test_a_resample_without_any_error_is_no_special_case():
    """One structure of twenty carries all of the error: a third of the resamples miss it."""
    baseline = np.stack([np.zeros(20), np.ones(20)], axis=1)
    baseline[7, 0] = 0.1

    change = relative_change(ENERGY, baseline, baseline * [2.0, 1.0])

    assert change == pytest.approx((1.0, 0.0, 1.0))


def alone(terms):
    """Every structure is a unit."""
    return Units("structures", np.arange(len(terms)), len(terms))


def test_figures_have_the_value_of_the_whole_set_within_their_interval():
    terms = errors(np.random.default_rng(4))

    (figure,) = figures([(ENERGY, terms)], alone(terms))

    assert figure.value == pytest.approx(terms[:, 0].mean(), rel=1e-12)
    standard_error = terms[:, 0].std() / np.sqrt(len(terms))
    assert figure.low == pytest.approx(figure.value - 1.96 * standard_error, abs=standard_error / 5)
    assert figure.high == pytest.approx(
        figure.value + 1.96 * standard_error, abs=standard_error / 5
    )
    assert figure.structures == 200


def test_figures_together_are_those_of_each_alone():
    first, second = (errors(np.random.default_rng(seed)) for seed in (5, 6))

    together = figures([(ENERGY, first), (FORCES_RMSE, second)], alone(first))

    assert together[0] == pytest.approx(figures([(ENERGY, first)], alone(first))[0])
    assert together[1] == pytest.approx(figures([(FORCES_RMSE, second)], alone(first))[0])


def test_few_structures_have_a_value_but_no_interval():
    terms = errors(np.random.default_rng(7))
    terms[ENOUGH - 1 :] = 0.0  # of another element, say

    (few,) = figures([(ENERGY, terms)], alone(terms))

    assert few == Figure(pytest.approx(terms[: ENOUGH - 1, 0].mean()), None, None, ENOUGH - 1)


def test_of_nothing_there_is_no_figure():
    terms = np.zeros((30, 2))

    assert figures([(ENERGY, terms)], alone(terms)) == [None]


def test_conformers_of_one_molecule_are_no_independent_evidence():
    """Ten structures with the same error each: as uncertain as one structure of each molecule."""
    molecules = errors(np.random.default_rng(8), count=50)
    conformers = np.repeat(molecules, 10, axis=0)
    index = np.repeat(np.arange(50), 10)

    (one,) = figures([(ENERGY, molecules)], alone(molecules))
    (ten,) = figures([(ENERGY, conformers)], Units("molecules", index, 50))
    (naive,) = figures([(ENERGY, conformers)], alone(conformers))

    assert ten[:3] == pytest.approx(one[:3])
    assert naive.high - naive.low < 0.5 * (ten.high - ten.low)


def named(count, name):
    structures = [replace(s, name=name(i)) for i, s in enumerate(make_structures(count))]
    return residuals(structures, perturbed(structures, 0.1))


def test_molecules_are_resampled_where_there_are_enough():
    enough = resampling_units(named(3 * ENOUGH, lambda i: f"m{i % ENOUGH}/300K-{i}"))

    assert (enough.of, enough.count) == ("molecules", ENOUGH)
    assert (enough.index == np.arange(3 * ENOUGH) % ENOUGH).all()


@pytest.mark.parametrize(
    "name", [lambda i: f"m{i % (ENOUGH - 1)}/300K-{i}", lambda i: f"frame {i}", lambda i: ""]
)
def test_structures_are_resampled_otherwise(name):
    units = resampling_units(named(3 * ENOUGH, name))

    assert (units.of, units.count) == ("structures", 3 * ENOUGH)


def test_errors_that_are_not_finite_have_figures_that_are_not():
    terms = errors(np.random.default_rng(9))
    spoilt = terms.copy()
    spoilt[3, 0] = np.nan

    bad, good = figures([(ENERGY, spoilt), (ENERGY, terms)], alone(terms))

    assert np.isnan([bad.value, bad.low, bad.high]).all()
    assert np.isfinite(good[:3]).all()
