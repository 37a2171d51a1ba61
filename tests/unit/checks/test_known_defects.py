"""A defect of 10 eV is declared with a bound of 12; the check's own limit is 1."""

import math

import pytest

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.known_defects import hold_against
from mlffd.config import KnownDefect
from mlffd.verdicts import Verdict


def declared(limit):
    return KnownDefect(reason="see issue 7", limit=limit)


def measured(energy=10.0, forces=0.0):
    return judge(
        [Criterion("energy", energy, 1.0, "eV"), Criterion("forces", forces, 1.0, "eV/Å")], "jumps"
    )


def held(evidence, limit=12.0):
    found = hold_against(evidence, declared(limit))
    assert "see issue 7" in found.message or found is evidence
    return found


@pytest.mark.parametrize("limit", [12.0, {"energy": 12.0}, 10.0, 20.0])
def test_a_defect_within_its_bound_passes_and_says_so(limit):
    found = held(measured(), limit)

    assert found.verdict is Verdict.PASS
    assert found.message == "known defect (see issue 7), within its bound: jumps"
    assert found.worst.limit == 12.0 or found.worst.limit in (10.0, 20.0)
    assert not found.failing


@pytest.mark.parametrize("energy", [12.0001, 1e6, math.inf, math.nan])
def test_a_defect_beyond_its_bound_fails(energy):
    found = held(measured(energy))

    assert found.verdict is Verdict.FAIL
    assert "beyond its bound: energy" in found.message
    assert [c.name for c in found.failing] == ["energy"]
    assert found.failing[0].limit == 12.0


def test_a_defect_that_got_much_better_fails_until_its_bound_is_tightened():
    """Better than half of it."""
    just_above, just_below = (12.0 * 0.5 + by for by in (1e-9, -1e-9))

    assert held(measured(just_above)).verdict is Verdict.PASS
    found = held(measured(just_below))
    assert found.verdict is Verdict.FAIL
    assert "much better than its bound, tighten: energy" in found.message


def test_a_defect_that_is_gone_fails_until_its_declaration_is():
    found = held(measured(energy=0.5))

    assert found.verdict is Verdict.FAIL
    assert "no longer fails: remove the declaration" in found.message


@pytest.mark.parametrize("limit", [{"energy": 12.0}, {"energy": 12.0, "typo": 1.0}])
def test_a_criterion_that_was_not_declared_still_fails(limit):
    found = held(measured(forces=2.0), limit)

    assert found.verdict is Verdict.FAIL
    assert "also fails by: forces" in found.message


def test_a_number_does_for_one_failing_criterion_only():
    found = held(measured(forces=2.0), 12.0)

    assert found.verdict is Verdict.FAIL
    assert "declare a limit for each of: energy, forces" in found.message


def test_two_declared_criteria_pass_together():
    found = held(measured(forces=2.0), {"energy": 12.0, "forces": 3.0})

    assert found.verdict is Verdict.PASS
    assert [c.limit for c in found.criteria] == [12.0, 3.0]


@pytest.mark.parametrize("name", ["forces", "typo"])
def test_a_declared_criterion_that_does_not_fail_is_stale(name):
    found = held(measured(), {"energy": 12.0, name: 3.0})

    assert found.verdict is Verdict.FAIL
    assert f"no longer fails by: {name}" in found.message


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.INCONCLUSIVE])
def test_what_could_not_be_measured_is_not_excused(verdict):
    evidence = Evidence(verdict, "no golden")

    assert held(evidence) is evidence


def test_a_failure_for_another_reason_is_not_excused():
    evidence = Evidence(Verdict.FAIL, "improved", (Criterion("energy", -0.2, 1e-6),))

    assert held(evidence) is evidence
