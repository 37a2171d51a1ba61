from pathlib import Path

import pytest
import torch
from springs import LENGTH, PairPotential, spring, triangle

from mlffd.checks.conservation import check_nve_conservation
from mlffd.checks.subjects import StudentSubject
from mlffd.verdicts import Verdict

STIFF = 30.0  # eV/Å²


def evidence_of(potential, picoseconds=0.1, **limits):
    subject = StudentSubject(
        name="springs",
        path=Path("none"),
        nve_picoseconds=picoseconds,
        limits={"nve_conservation": limits},
    )
    subject.potential = potential
    subject.stable_molecules = [triangle()]
    return check_nve_conservation(subject)


def failing(evidence):
    return {criterion.name for criterion in evidence.failing}


def morse(depth, length=LENGTH):
    """A bond that breaks at ``depth`` eV, as stiff as `STIFF` near its length."""
    width = (STIFF / (2 * depth)) ** 0.5
    return lambda d: depth * (1 - torch.exp(-width * (d - length))) ** 2


def test_springs_conserve_energy_and_hold_together():
    evidence = evidence_of(PairPotential(spring(STIFF)))
    assert evidence.verdict is Verdict.PASS
    measured = {c.name: c.measured for c in evidence.criteria}
    assert 0.01 < measured["stretch"] < 0.1
    assert 0.01 < measured["overlap"] < 0.1
    assert evidence.details["drift"] == {"triangle": measured["drift"]}


def test_forces_that_push_around_in_circles_are_a_drift():
    def around(positions):
        """Each atom about the z axis, always the same way: no potential does that."""
        arms = positions - positions.mean(dim=0)
        return 0.02 * torch.stack([-arms[:, 1], arms[:, 0], 0 * arms[:, 2]], dim=1)

    evidence = evidence_of(PairPotential(spring(STIFF), extra_forces=around))
    assert evidence.verdict is Verdict.FAIL
    assert "drift" in failing(evidence)
    assert not failing(evidence) & {"stretch", "overlap"}


def test_bonds_that_break_are_seen_though_energy_is_conserved():
    assert evidence_of(PairPotential(morse(depth=0.2))).verdict is Verdict.PASS
    evidence = evidence_of(PairPotential(morse(depth=0.02)))
    assert evidence.verdict is Verdict.FAIL
    assert failing(evidence) == {"stretch"}


def test_a_molecule_that_collapses_when_it_is_relaxed_is_seen():
    evidence = evidence_of(PairPotential(spring(STIFF, length=0.8)))
    assert evidence.verdict is Verdict.FAIL
    assert failing(evidence) == {"overlap"}


def only_at_500_k(distances):
    """Bonds longer than what 300 K stretch them to."""
    return distances.detach() > 1.038 * LENGTH


@pytest.mark.parametrize(("step", "found"), [(0.1, set()), (0.2, {"energy_change"})])
def test_an_energy_that_jumps_where_only_500_k_reach_is_seen(step, found):
    """By so many eV for three atoms; k T at 500 K is 43 meV an atom."""
    jumping = PairPotential(lambda d: spring(STIFF)(d) + step * only_at_500_k(d))
    evidence = evidence_of(jumping)
    assert failing(evidence) == found
    assert evidence.details["energy_change"]["triangle"] == pytest.approx(1e3 * step / 3, rel=0.01)


def test_predictions_that_stop_being_numbers_fail_and_do_not_slip_through_a_maximum():
    holey = PairPotential(lambda d: spring(STIFF)(d) * torch.where(only_at_500_k(d), torch.nan, 1))
    evidence = evidence_of(holey)
    assert evidence.verdict is Verdict.FAIL
    assert failing(evidence) == {"stretch", "overlap", "energy_change"}


def test_a_run_too_short_to_tell_a_drift_from_a_vibration_is_inconclusive():
    evidence = evidence_of(PairPotential(spring(STIFF)), picoseconds=0.02, drift=0.01)
    assert failing(evidence) == {"drift"}
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "nve_picoseconds" in evidence.message
