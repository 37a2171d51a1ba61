"""What follows from a trajectory: samples by hand, and each limit from both sides."""

import numpy as np
import pytest
from ase import units
from springs import (
    LENGTH,
    PairPotential,
    dumbbell,
    failing,
    measured,
    soft,
    spring,
    subject_of,
    triangle,
)

from mlffd.checks import conservation
from mlffd.checks.cases import plan
from mlffd.checks.conservation import Run, check_nve_conservation, simulate, trend_of
from mlffd.checks.dynamics import State
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

THERMAL = 1e3 * units.kB * 500.0  # meV


def sampled(molecule, *structures, energy=0.0):
    """A run with a sample of each structure, at rest."""
    run = Run(molecule, 300.0)
    for structure in structures:
        still = np.zeros_like(structure.positions)
        run.add(State(structure, still, energy, still))
    return run


def as_long_as(molecule, factor):
    return molecule.with_positions(factor * molecule.positions)


def test_a_run_keeps_the_longest_bond_and_the_closest_pair():
    run = sampled(triangle(), *(as_long_as(triangle(), f) for f in (1.0, 1.2, 0.9, 1.1)))
    assert run.stretch == pytest.approx(0.2)
    assert run.overlap == pytest.approx(0.1)


def test_each_bond_counts_by_itself():
    """The one between the first two atoms, and the one between the last two."""
    for moved in (0, 2):
        positions = triangle().positions.copy()
        away = positions[moved] - positions.mean(axis=0)
        positions[moved] += away
        run = sampled(triangle(), triangle().with_positions(positions))
        assert run.stretch > 0.5


@pytest.mark.parametrize(("length", "stretch"), [(1.97, 0.2), (1.98, 0.0)])
def test_atoms_are_bonded_within_1_3_times_their_radii(length, stretch):
    """Of carbon, 0.76 Å each."""
    run = sampled(dumbbell(length), dumbbell(1.2 * length))
    assert run.stretch == pytest.approx(stretch)


def test_atoms_that_are_not_bonded_may_come_as_close_as_their_radii():
    """Two carbon atoms that were 3 Å apart: 1.52 Å are a bond, nine tenths of that too close."""
    run = sampled(dumbbell(3.0), dumbbell(0.9 * 1.52))
    assert run.overlap == pytest.approx(0.1)
    assert run.stretch == 0.0
    assert sampled(dumbbell(3.0), dumbbell(1.6)).overlap == 0.0


def test_energies_are_in_mev_per_atom_and_their_change_is_from_the_start():
    run = Run(triangle(), 300.0)
    for energy in (3.0, 3.3, 2.4):
        run.add(State(triangle(), np.zeros((3, 3)), energy, np.zeros((3, 3))))
    assert run.energies == pytest.approx([1000.0, 1100.0, 800.0])
    assert run.change == pytest.approx(200.0)


@pytest.mark.parametrize("picoseconds", [0.05, 0.052])
def test_the_first_three_molecules_run_at_each_temperature(picoseconds):
    molecules = [triangle(str(i)) for i in range(4)]
    runs = simulate(PairPotential(spring(30.0)), molecules, (300.0, 500.0), picoseconds)
    names = [(run.molecule.name, run.temperature) for run in runs]
    assert names == [(name, t) for name in "012" for t in (300.0, 500.0)]
    # 100 or 104 steps of 0.5 fs, every fifth of them and the start.
    assert {len(run.energies) for run in runs} == {21}


def test_a_run_is_as_long_as_it_is_asked_to_be():
    """Half a period of two atoms on a spring, in steps of 0.5 fs: from one end to the other."""
    stiffness = 20.0
    period = 2 * np.pi * np.sqrt(12.011 / 2 / stiffness) / units.fs  # fs
    steps = round(period / 2 / 0.5)
    potential = PairPotential(spring(stiffness))
    (cold,) = simulate(potential, [dumbbell(LENGTH)], (1e-9,), steps * 0.5e-3)
    assert len(cold.energies) == steps // 5 + 1
    (warm,) = simulate(potential, [dumbbell(LENGTH)], (300.0,), 4 * steps * 0.5e-3)
    # Twice 300 K in one vibration: its mean kinetic energy is k T, and so is its mean stretch.
    amplitude = warm.stretch * LENGTH
    assert 0.5 * stiffness * amplitude**2 == pytest.approx(1e-3 * 2 * warm.energies[0], rel=0.1)


def test_a_straight_line_has_its_slope_and_no_swing():
    run = Run(dumbbell(), 300.0)
    run.energies = [5.0 + 0.0025 * 7.0 * i for i in range(101)]
    trend = trend_of(run)
    assert trend.slope == pytest.approx(7.0)
    assert trend.swing == pytest.approx(0.0, abs=1e-9)
    assert trend.surely == pytest.approx(7.0)


def test_a_vibration_has_a_swing_and_puts_the_slope_in_doubt():
    """A straight line of the same spread would have a slope of the root of 12 times it."""
    run = Run(dumbbell(), 300.0)
    run.energies = list(3.0 * np.tile([1.0, -1.0], 50))
    trend = trend_of(run)
    duration = 0.0025 * 99
    assert trend.swing == pytest.approx(3.0, rel=1e-3)
    assert trend.doubt == pytest.approx(12**0.5 * 3.0 / duration, rel=1e-3)
    assert trend.surely < 0


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_energies_that_are_lost_on_the_way_have_no_trend(lost):
    run = Run(dumbbell(), 300.0)
    run.energies = [5.0, 5.0, lost, 5.0]
    assert np.isnan(trend_of(run)).all()


def test_a_line_down_is_a_drift_too():
    run = Run(dumbbell(), 300.0)
    run.energies = [-0.0025 * 7.0 * i for i in range(101)]
    assert trend_of(run).surely == pytest.approx(7.0)


@pytest.fixture
def evidence_of(monkeypatch):
    """Evidence of trajectories that are given."""

    def make(usual=(), hot=(), *, limits=None, **changes):
        def run(temperature, energies=(0.0,) * 101, stretch=0.0, overlap=0.0, name="dumbbell"):
            made = Run(dumbbell(name=name), temperature, list(energies))
            made.stretch, made.overlap = stretch, overlap
            return made

        runs = [
            *(run(300.0, **one) for one in usual or [{}]),
            *(run(500.0, **one) for one in hot or [{}]),
        ]
        monkeypatch.setattr(conservation, "simulate", lambda *_: runs)
        subject = subject_of(PairPotential(soft), [dumbbell()])
        subject.stable_molecules = [dumbbell()]
        subject.limits = limits or {}
        return check_nve_conservation(subject)

    return make


def line(slope):
    """Energies in meV/atom that rise by so much in a picosecond."""
    return [0.0025 * slope * i for i in range(101)]


def test_nothing_that_moves_passes(evidence_of):
    evidence = evidence_of()
    assert evidence.verdict is Verdict.PASS
    assert set(measured(evidence).values()) == {0.0}


@pytest.mark.parametrize(("share", "fails"), [(0.99, False), (1.01, True)])
@pytest.mark.parametrize(
    ("criterion", "temperature", "run"),
    [
        ("drift", "usual", lambda share: {"energies": line(share * 1.0)}),
        ("drift", "usual", lambda share: {"energies": line(share * -1.0)}),
        ("fluctuation", "usual", lambda share: {"energies": [share, -share, -share, share] * 25}),
        ("stretch", "usual", lambda share: {"stretch": share * 0.5}),
        ("stretch", "hot", lambda share: {"stretch": share * 0.5}),
        ("overlap", "usual", lambda share: {"overlap": share * 0.4}),
        ("overlap", "hot", lambda share: {"overlap": share * 0.4}),
        ("energy_change", "hot", lambda share: {"energies": [0.0, share * THERMAL, 0.0]}),
        ("energy_change", "hot", lambda share: {"energies": [0.0, -share * THERMAL, 0.0]}),
    ],
)
def test_each_limit_from_both_sides(evidence_of, share, fails, criterion, temperature, run):
    """In one of two runs."""
    evidence = evidence_of(**{temperature: [{}, run(share)]})
    assert failing(evidence) == ({criterion} if fails else set())
    assert evidence.verdict is (Verdict.FAIL if fails else Verdict.PASS)


def test_at_500_k_only_a_change_of_the_temperature_counts(evidence_of):
    assert not failing(evidence_of(hot=[{"energies": line(50.0)}]))
    assert failing(evidence_of(usual=[{"energies": line(50.0)}])) == {"drift"}


def test_details_are_by_molecule_and_of_the_runs_that_they_are_about(evidence_of):
    evidence = evidence_of(
        usual=[{"energies": line(-0.5), "name": "a", "stretch": 0.3, "overlap": 0.3}],
        hot=[{"name": "a", "stretch": 0.1, "overlap": 0.2, "energies": [0.0, 4.0]}],
    )
    assert evidence.details["drift"] == {"a": pytest.approx(0.5)}
    assert evidence.details["stretch"] == {"a": 0.1}
    assert evidence.details["overlap"] == {"a": 0.2}
    assert evidence.details["energy_change"] == {"a": 4.0}
    assert measured(evidence)["stretch"] == 0.3


def vibrating(slope, swing):
    """A line with a vibration about it."""
    return list(np.array(line(slope)) + swing * np.array([1.0, -1.0, -1.0, 1.0] * 26)[:101])


def test_a_drift_that_may_be_a_vibration_is_inconclusive(evidence_of):
    """In a quarter of a picosecond a swing of 0.3 meV may be a slope of 4 meV/ps."""
    doubtful = evidence_of(usual=[{"energies": vibrating(2.0, 0.3)}])
    assert failing(doubtful) == {"drift"}
    assert doubtful.verdict is Verdict.INCONCLUSIVE
    assert doubtful.details["drift_uncertainty"]["dumbbell"] == pytest.approx(4.2, rel=0.02)
    sure = evidence_of(usual=[{"energies": vibrating(2.0, 0.3)}, {"energies": line(1.1)}])
    assert sure.verdict is Verdict.FAIL
    both = evidence_of(usual=[{"energies": vibrating(2.0, 0.3), "stretch": 0.6}])
    assert both.verdict is Verdict.FAIL


def test_the_limit_of_the_settings_decides_what_is_doubtful(evidence_of):
    limits = {"nve_conservation": {"drift": 3.0}}
    evidence = evidence_of(usual=[{"energies": line(2.9)}], limits=limits)
    assert evidence.verdict is Verdict.PASS
    assert evidence.criteria[0].limit == 3.0
    assert evidence_of(usual=[{"energies": line(3.1)}], limits=limits).verdict is Verdict.FAIL


def test_without_a_molecule_there_is_no_trajectory():
    subject = subject_of(PairPotential(soft), [dumbbell()])
    subject.stable_molecules = []
    (omission,) = plan([subject], ["nve_conservation", "translation_invariance"]).omissions
    assert omission.check == "nve_conservation"
    subject.stable_molecules = [dumbbell()]
    assert plan([subject], ["nve_conservation"]).omissions == []


def test_atoms_of_other_elements_have_other_radii():
    """Hydrogen, 0.31 Å: two of them are bonded within 0.806 Å."""
    for length, stretch in ((0.8, 0.5), (0.81, 0.0)):
        molecule = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [length, 0, 0]]))
        run = sampled(molecule, as_long_as(molecule, 1.5))
        assert run.stretch == pytest.approx(stretch)
