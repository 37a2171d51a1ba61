"""The history gate: what turns it red, what does not, and what it says when it cannot tell."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from history_samples import OTHER_REFERENCE, REFERENCE, history, names, series

from mlffd.errors import NothingMeasuredError
from mlffd.performance.history_gate import Standing, judge
from mlffd.performance.history_rules import Rules
from mlffd.performance.ratios import Quantity
from mlffd.performance_settings import Acceptance
from mlffd.verdicts import Verdict

pytest.importorskip("otava.analysis", reason="pip install --no-deps apache-otava==0.8.0")


def noisy(*levels, seed=0, noise=0.02):
    """Ratios around levels, given as (ratio, how many)."""
    generator = np.random.default_rng(seed)
    exact = np.concatenate([np.full(count, ratio) for ratio, count in levels])
    return (exact * np.exp(generator.normal(0, noise, len(exact)))).tolist()


def standings(*all_series, **rules):
    return [step.standing for step in judge(history(*all_series), Rules(**rules)).steps]


LEVEL = series(noisy((1, 20)))


def counts(*values):
    """Of the last commits of LEVEL."""
    return series(
        values,
        quantity=Quantity.COUNTER,
        name="small: operators",
        positions=range(20 - len(values), 20),
    )


def errors(*values):
    return replace(counts(*values), quantity=Quantity.ACCURACY, name="tiny: force_rmse")


def test_a_level_passes():
    gate = judge(history(LEVEL), Rules())
    assert (gate.verdict, gate.exit_code, gate.judged, gate.steps) == (
        Verdict.PASS,
        0,
        (LEVEL,),
        (),
    )


def test_a_slowdown_fails_with_the_commits_that_may_have_done_it():
    gate = judge(history(series(noisy((1, 15), (1.2, 10)))), Rules())
    assert (gate.verdict, gate.exit_code) == (Verdict.FAIL, 1)
    (step,) = gate.steps
    assert step.standing is Standing.REGRESSION
    assert (step.last_good.position, step.first_bad.position) == (14, 15)
    assert step.commits == (names(20)[15],)
    assert step.change == pytest.approx(0.2, abs=0.03)
    assert step.p_value < 1e-4


def test_commits_that_were_not_measured_are_in_the_range():
    sparse = series(noisy((1, 10), (1.2, 10)), positions=range(5, 105, 5))
    (step,) = judge(history(sparse), Rules()).steps
    assert (step.last_good.position, step.first_bad.position) == (50, 55)
    assert step.commits == tuple(names(60)[51:56])


def test_a_speedup_is_reported_and_passes():
    gate = judge(history(series(noisy((1.2, 15), (1, 10)))), Rules())
    assert [step.standing for step in gate.steps] == [Standing.IMPROVEMENT]
    assert gate.exit_code == 0


def test_a_step_below_the_threshold_is_small():
    slower = series(noisy((1, 25), (1.03, 25), noise=0.005))
    assert standings(slower) == [Standing.SMALL]
    assert standings(slower, step=0.02) == [Standing.REGRESSION]


def test_small_steps_add_up():
    creeping = series(noisy((1, 20), (1.03, 20), (1.06, 20), noise=0.004))
    gate = judge(history(creeping), Rules())
    regression, small = gate.steps
    assert (regression.standing, small.standing) == (Standing.REGRESSION, Standing.SMALL)
    assert regression.first_bad.position == 40
    assert regression.change == pytest.approx(0.06, abs=0.005)


def test_a_slowdown_that_was_undone_is_reported_and_passes():
    spell = series(noisy((1, 15), (1.2, 15), (1, 15)))
    assert set(standings(spell)) == {Standing.UNDONE, Standing.IMPROVEMENT}
    assert judge(history(spell), Rules()).exit_code == 0


def test_a_slowdown_of_which_only_a_part_was_undone_fails():
    assert Standing.REGRESSION in standings(series(noisy((1, 15), (1.3, 15), (1.15, 15))))


def test_an_accepted_slowdown_passes_with_its_reason_and_another_one_still_fails():
    two = series(noisy((1, 15), (1.2, 15), (1.5, 15)))
    accepted = {names(20)[15][:12]: Acceptance(of=("time",), reason="an exact sum")}
    gate = judge(history(two), Rules(accepted=accepted))
    second, first = gate.steps
    assert (first.standing, first.reason) == (Standing.ACCEPTED, "an exact sum")
    assert (second.standing, second.reason) == (Standing.REGRESSION, "")
    assert second.change == pytest.approx(0.25, abs=0.03)  # from the accepted level on
    both = {**accepted, names(40)[30][:12]: Acceptance(of=("small",), reason="more of it")}
    assert judge(history(two), Rules(accepted=both)).exit_code == 0


def test_an_acceptance_of_a_commit_outside_the_range_does_not_count():
    accepted = {names(20)[14][:12]: Acceptance(of=("time",), reason="the one before")}
    assert standings(series(noisy((1, 15), (1.2, 15))), accepted=accepted) == [Standing.REGRESSION]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("time", {"time"}),
        ("counter", {"counter"}),
        ("accuracy", {"accuracy"}),
        ("small", {"time", "counter"}),
        ("small: operators", {"counter"}),
        ("tiny", {"accuracy"}),
        ("tiny: force_rmse", {"accuracy"}),
        ("large", set()),
    ],
)
def test_an_acceptance_is_of_what_it_names_and_of_nothing_else_of_that_commit(of, expected):
    """A student may be slower on purpose, and less accurate by accident."""
    slower = series(noisy((1, 10), (1.2, 10)))
    accepted = {names(20)[10][:12]: Acceptance(of=(of,), reason="it is meant")}
    worse = (slower, counts(*[100] * 10, *[101] * 10), errors(*[0.1] * 10, *[0.2] * 10))
    gate = judge(history(*worse), Rules(accepted=accepted))
    assert len(gate.steps) == 3
    assert {step.series.quantity for step in gate.of(Standing.ACCEPTED)} == expected


def test_what_the_settings_name_must_not_end_unnoticed():
    gone = series(noisy((1, 10), (1.5, 10)), name="gone")
    lasting = series(noisy((1, 40)))
    rules = Rules(expected=frozenset({"small", "gone"}))
    gate = judge(history(gone, lasting), rules)
    assert (gate.verdict, gate.exit_code) == (Verdict.INCONCLUSIVE, 3)
    assert gate.lost == ("desk: gone: expected, but not among the last 8 commits measured on desk",)
    assert json.loads(json.dumps(gate.as_dict()))["lost"] == list(gate.lost)


@pytest.mark.parametrize("name", ["small: operators", "tiny: force_rmse"])
def test_errors_and_counters_of_what_the_settings_name_must_not_end_either(name):
    ended = replace(errors(*[0.1] * 20), name=name)
    rules = Rules(expected=frozenset({"small", "tiny"}))
    gate = judge(history(ended, series(noisy((1, 40)))), rules)
    assert [line.split(" expected")[0] for line in gate.lost] == [f"desk: {name}:"]


def test_an_older_reference_is_not_lost():
    before = series(noisy((1, 5)))
    after = series(noisy((1, 20), seed=1), reference=OTHER_REFERENCE, positions=range(5, 25))
    gate = judge(history(before, after), Rules(expected=frozenset({"small"})))
    assert (gate.exit_code, gate.lost) == (0, ())


def test_a_machine_of_the_past_is_left_alone_unless_it_is_expected():
    old = series(noisy((1, 10), (1.5, 10)), machine="retired")
    lasting = series(noisy((1, 51)))
    expected = frozenset({"small"})
    gate = judge(history(old, lasting), Rules(expected=expected))
    assert (gate.exit_code, gate.lost, gate.judged) == (0, (), (lasting,))
    assert gate.left == ((old, "it last measured 31 commits ago"),)
    machines = frozenset({"retired", "desk", "nowhere"})
    gate = judge(history(old, lasting), Rules(expected=expected, machines=machines))
    assert gate.exit_code == 3
    assert gate.lost == (
        "nowhere: expected to measure, but it has measured nothing",
        "retired: expected to measure, but it last measured 31 commits ago",
    )


def test_a_history_that_nobody_measures_any_more_does_not_pass():
    assert judge(history(LEVEL, behind=30), Rules()).exit_code == 0
    with pytest.raises(NothingMeasuredError, match="none of the last 30 commits"):
        judge(history(LEVEL, behind=31), Rules())


def test_too_few_commits_are_inconclusive_and_it_says_how_many_are_missing():
    short = series(noisy((1, 3), (2, 2)))
    gate = judge(history(short), Rules(fewest=8))
    assert (gate.verdict, gate.exit_code) == (Verdict.INCONCLUSIVE, 3)
    assert gate.missing == ((short, 3),)
    assert gate.judged == ()


def test_a_short_series_does_not_hide_a_regression_in_another():
    slower = series(noisy((1, 15), (1.2, 10)), name="large")
    short = series(noisy((1, 3)), positions=range(22, 25))
    gate = judge(history(slower, short), Rules())
    assert (gate.exit_code, len(gate.missing)) == (1, 1)


def test_ratios_to_another_reference_are_not_compared():
    before = series(noisy((1, 12)))
    after = series(noisy((1.5, 12), seed=1), reference=OTHER_REFERENCE, positions=range(12, 24))
    gate = judge(history(before, after), Rules())
    assert (gate.exit_code, gate.judged, gate.steps) == (0, (before, after), ())


def test_a_new_reference_needs_its_commits_and_a_short_old_one_is_only_named():
    before = series(noisy((1, 5)))
    after = series(noisy((1, 4), seed=1), reference=OTHER_REFERENCE, positions=range(5, 9))
    gate = judge(history(before, after), Rules())
    assert gate.exit_code == 3
    assert gate.missing == ((after, 4),)
    ((left, reason),) = gate.left
    assert left == before
    assert REFERENCE[:12] in reason


def test_a_benchmark_that_is_no_longer_measured_is_named_and_not_judged():
    gone = series(noisy((1, 10), (1.5, 10)), name="gone")
    lasting = series(noisy((1, 40)))
    gate = judge(history(gone, lasting), Rules())
    assert gate.exit_code == 0
    ((left, reason),) = gate.left
    assert left == gone
    assert reason == "not among the last 8 commits measured on desk"
    missed_once = series(noisy((1, 20), (1.5, 19)), name="gone")
    assert judge(history(missed_once, lasting), Rules()).exit_code == 1


def test_each_machine_has_its_own_end():
    elsewhere = series(noisy((1, 10), (1.5, 10)), machine="laptop")
    gate = judge(history(series(noisy((1, 40))), elsewhere), Rules())
    assert [step.series.machine for step in gate.of(Standing.REGRESSION)] == ["laptop"]


@pytest.mark.parametrize("others", [[], [counts(*range(10))]])
def test_a_history_without_times_has_nothing_to_say(others):
    with pytest.raises(NothingMeasuredError, match="no benchmark has been timed"):
        judge(history(*others), Rules())


def test_one_more_operator_fails_at_exactly_its_commit_after_two_commits():
    gate = judge(history(LEVEL, counts(100, 101)), Rules())
    (step,) = gate.steps
    assert step.standing is Standing.REGRESSION
    assert (step.before, step.after, step.p_value) == (100, 101, None)
    assert step.commits == (names(20)[19],)


def test_fewer_operators_are_an_improvement_and_the_old_count_after_it_is_a_regression():
    assert standings(LEVEL, counts(100, 99)) == [Standing.IMPROVEMENT]
    assert standings(LEVEL, counts(100, 99, 100)) == [Standing.REGRESSION, Standing.IMPROVEMENT]


def test_counters_that_went_up_and_down_again_pass():
    assert standings(LEVEL, counts(100, 101, 100)) == [Standing.UNDONE, Standing.IMPROVEMENT]


def test_a_counter_may_have_been_zero():
    gate = judge(history(LEVEL, counts(0, 3)), Rules())
    (step,) = gate.steps
    assert (step.standing, step.change) == (Standing.REGRESSION, math.inf)
    assert json.loads(json.dumps(gate.as_dict(), allow_nan=False))["steps"][0]["change"] is None


def test_a_less_accurate_student_fails_and_rounding_does_not():
    assert standings(LEVEL, errors(0.1, 0.1, 0.102)) == [Standing.REGRESSION]
    assert standings(LEVEL, errors(0.1, 0.100001, 0.099999)) == []
    assert standings(LEVEL, errors(0.1, 0.1005)) == [Standing.SMALL]
    assert standings(LEVEL, errors(0.1, 0.09)) == [Standing.IMPROVEMENT]


def test_accuracy_that_is_lost_little_by_little_fails():
    creeping = errors(*(0.1 * 1.004**commit for commit in range(6)))
    assert Standing.REGRESSION in standings(LEVEL, creeping)


def test_the_document_names_everything_that_was_decided():
    short = series(noisy((1, 3)), name="new", positions=range(22, 25))
    gone = series(noisy((1, 9)), name="gone")
    found = history(series(noisy((1, 15), (1.2, 10))), short, gone)
    document = json.loads(json.dumps(judge(found, Rules()).as_dict(), allow_nan=False))
    assert (document["verdict"], document["exit_code"]) == ("fail", 1)
    (step,) = document["steps"]
    assert step["name"] == "small"
    assert step["standing"] == "regression"
    assert (step["last_good"], step["first_bad"]) == (names(20)[14], names(20)[15])
    assert [(item["name"], item["commits"]) for item in document["missing"]] == [("new", 5)]
    assert [item["name"] for item in document["left"]] == ["gone"]
    assert document["rules"]["step"] == 0.04
