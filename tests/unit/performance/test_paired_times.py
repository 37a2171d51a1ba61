"""Ratios, their intervals, and what a run could have seen."""

import math

import numpy as np
import pytest

from mlffd.performance.paired import Estimate, Round, again_estimate, head_estimate, holm

SEEDS = range(2000)


def launches(seed: int, *, slowdown: float = 0.0, count: int = 5, between: float = 0.02):
    """Launches of processes that differ by `between`, with rounds that are far noisier."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        base, head, again = np.exp(rng.normal(0, between / math.sqrt(2), 3))
        weather = np.exp(np.abs(rng.normal(0, 0.3, 40)))  # what all three suffer from
        noise = np.exp(rng.normal(0, 0.05, (40, 3)))
        found.append(
            [
                Round(w * base * n[0], w * head * (1 + slowdown) * n[1], w * again * n[2])
                for w, n in zip(weather, noise, strict=True)
            ]
        )
    return found


def test_a_slowdown_is_a_ratio_above_one() -> None:
    estimate = head_estimate(launches(0, slowdown=0.2, count=30))

    assert estimate.ratio == pytest.approx(1.2, rel=0.02)
    assert again_estimate(launches(0, slowdown=0.2, count=30)).ratio == pytest.approx(1, rel=0.02)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth_also_with_four_launches() -> None:
    """A plain bootstrap of four launches holds it in about 85."""
    held = 0
    for seed in SEEDS:
        low, high = head_estimate(launches(seed, slowdown=0.05, count=4)).interval
        held += low <= 1.05 <= high

    assert held / len(SEEDS) == pytest.approx(0.95, abs=0.02)


def test_a_visible_slowdown_is_seen() -> None:
    """What a run says that it could have seen, it would have seen 95 times in 100."""
    slowdown = np.mean([head_estimate(launches(s, count=8)).visible(0.04, 0.02) for s in SEEDS])
    seen = 0
    for seed in SEEDS:
        estimate = head_estimate(launches(seed, slowdown=float(slowdown), count=8))
        seen += estimate.ratio > 1.04 and estimate.interval[0] > 1.02

    assert seen / len(SEEDS) >= 0.93


def test_one_launch_has_no_interval() -> None:
    with pytest.raises(ValueError, match="1 launches, expected 2"):
        Estimate.of([0.1])


def test_identical_times_are_certain_either_way() -> None:
    assert Estimate.of([0.0, 0.0]).p_value(0.02) == 1
    assert Estimate.of([0.1, 0.1]).p_value(0.02) == 0


def test_holm_holds_the_smallest_against_the_narrowest_level() -> None:
    assert holm([0.04, 0.001, 0.02], level=0.05) == [True, True, True]
    assert holm([0.03, 0.02, 0.9], level=0.05) == [False, False, False]
    assert holm([0.9, 0.016, 0.026], level=0.05) == [False, True, False]


def test_among_many_unchanged_benchmarks_holm_rarely_rejects_one() -> None:
    rng = np.random.default_rng(0)

    rejected = sum(any(holm(list(rng.uniform(size=20)))) for _ in SEEDS)

    assert rejected / len(SEEDS) <= 0.04
