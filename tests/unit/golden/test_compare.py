import numpy as np
import pytest
from golden_samples import make_entry, make_structures, perturbed, scaled

from mlffd.golden.compare import Status, compare_metrics
from mlffd.golden.metrics import METRICS
from mlffd.golden.records import Predictions
from mlffd.golden.residuals import residuals

STRUCTURES = make_structures(60)
BASELINE = perturbed(STRUCTURES, 0.1)


def compare(candidate, *, accepted=None, baseline=BASELINE):
    if accepted is None:
        accepted = make_entry(STRUCTURES, BASELINE).metrics
    found = compare_metrics(
        accepted, residuals(STRUCTURES, baseline), residuals(STRUCTURES, candidate)
    )
    assert [c.metric for c in found] == [m.name for m in METRICS]
    return found


def test_the_same_predictions_pass_with_no_change():
    for comparison in compare(BASELINE):
        assert comparison.status is Status.PASS
        assert comparison.change == (0.0, 0.0, 0.0)
        assert comparison.value == comparison.golden


def test_rounding_is_no_change():
    rounded = Predictions(
        BASELINE.names, BASELINE.energy + 1e-12, BASELINE.forces - 1e-12, BASELINE.splits
    )

    assert {c.status for c in compare(rounded)} == {Status.PASS}


@pytest.mark.parametrize(("factor", "status"), [(1.01, Status.REGRESSED), (0.99, Status.IMPROVED)])
def test_a_percent_on_every_structure_is_significant(factor, status):
    found = compare(scaled(STRUCTURES, BASELINE, factor))

    assert {c.status for c in found} == {status}
    for comparison in found:
        if comparison.metric != "forces_angle":  # grows with errors, but not in proportion
            assert comparison.change.estimate == pytest.approx(factor - 1.0)


def test_other_errors_of_the_same_size_are_undecided_where_the_interval_is_wide():
    few = STRUCTURES[:8]
    baseline, candidate = perturbed(few, 0.1, seed=1), perturbed(few, 0.1, seed=2)

    found = compare_metrics(
        make_entry(few, baseline).metrics,
        residuals(few, baseline),
        residuals(few, candidate),
    )

    for comparison in found:
        change = comparison.change
        assert change.low < 0.0 < change.estimate  # it looks worse
        assert change.high > 0.1
        assert comparison.status is Status.UNDECIDED


def test_a_wide_tolerance_lets_the_same_interval_pass():
    few = STRUCTURES[:8]
    baseline, candidate = perturbed(few, 0.1, seed=1), perturbed(few, 0.1, seed=2)

    found = compare_metrics(
        make_entry(few, baseline, tolerance=10.0).metrics,
        residuals(few, baseline),
        residuals(few, candidate),
    )

    assert {c.status for c in found} == {Status.PASS}


def test_a_metric_without_golden_is_missing():
    accepted = make_entry(STRUCTURES, BASELINE).metrics
    del accepted["forces_angle"]

    *others, missing = compare(BASELINE, accepted=accepted)

    assert missing.status is Status.MISSING
    assert missing.golden is None
    assert missing.change is None
    assert {c.status for c in others} == {Status.PASS}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_force_that_is_no_number_spoils_the_force_metrics_only(value):
    forces = BASELINE.forces.copy()
    forces[5, 1] = value

    found = compare(Predictions(BASELINE.names, BASELINE.energy, forces, BASELINE.splits))

    for comparison in found:
        spoilt = comparison.metric.startswith("forces")
        assert comparison.status is (Status.NON_FINITE if spoilt else Status.PASS)
        assert (comparison.change is None) == spoilt


def test_missing_does_not_hide_non_finite():
    energy = np.full_like(BASELINE.energy, np.nan)

    found = compare(
        Predictions(BASELINE.names, energy, BASELINE.forces, BASELINE.splits), accepted={}
    )

    assert found[0].status is Status.NON_FINITE


def test_a_student_that_was_exact_regresses_without_a_warning():
    exact = scaled(STRUCTURES, BASELINE, 0.0)
    accepted = make_entry(STRUCTURES, exact).metrics

    assert {c.status for c in compare(exact, accepted=accepted, baseline=exact)} == {Status.PASS}
    worse = compare(BASELINE, accepted=accepted, baseline=exact)
    assert {c.status for c in worse} == {Status.REGRESSED}
