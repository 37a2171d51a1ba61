import numpy as np
import pytest

from mlffd.checks.deviations import Comparison, deviations
from mlffd.checks.evidence import judge
from mlffd.runtimes.potential import StructurePrediction
from mlffd.verdicts import Verdict

FORCES = np.arange(6.0).reshape(2, 3)
EXPECTED = StructurePrediction(-10.0, FORCES)


def compared(name, energy=0.0, force=0.0):
    changed = FORCES.copy()
    changed[1, 2] += force
    return Comparison(name, EXPECTED, StructurePrediction(-10.0 + energy, changed))


def test_equal_predictions_do_not_deviate():
    found = deviations([compared("a"), compared("b")])

    assert found[:4] == (0.0, 0.0, 0.0, 0.0)
    assert judge(found.criteria(), "").verdict is Verdict.PASS


def test_energies_are_per_atom_and_forces_per_component():
    found = deviations([compared("a", energy=0.4), compared("b", force=-0.6)])

    assert found.energy_max == pytest.approx(0.2)
    assert found.energy_rms == pytest.approx(0.2 / np.sqrt(2))
    assert found.forces_max == pytest.approx(0.6)
    assert found.forces_rms == pytest.approx(0.6 / np.sqrt(12))


@pytest.mark.parametrize("change", [{"energy": 3e-9}, {"force": 1.1e-9}])
def test_more_than_rounding_fails(change):
    found = deviations([compared("a"), compared("b", **change)])

    assert judge(found.criteria(), "").verdict is Verdict.FAIL
    assert found.worst == "b"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["energy", "force"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_no_number_anywhere_fails_and_names_the_structure(value, where, position):
    comparisons = [compared("a", energy=1.0), compared("b", force=5.0)]
    comparisons.insert(position, compared("spoilt", **{where: value}))

    found = deviations(comparisons)

    assert judge(found.criteria(), "").verdict is Verdict.FAIL
    assert found.worst == "spoilt"


def test_infinite_on_both_sides_is_no_agreement():
    infinite = StructurePrediction(np.inf, np.full((2, 3), np.inf))

    found = deviations([Comparison("a", infinite, infinite)])

    assert np.isnan(found.forces_max)
    assert judge(found.criteria(), "").verdict is Verdict.FAIL


def test_the_worst_is_furthest_over_the_limits_in_either_quantity():
    very_wrong_energy = compared("energy", energy=2e-7)  # per atom a hundred times the limit
    larger_but_less_wrong_force = compared("force", force=2e-8)  # twenty times the limit
    very_wrong_force = compared("worse force", force=2e-7)

    assert deviations([larger_but_less_wrong_force, very_wrong_energy]).worst == "energy"
    assert deviations([very_wrong_energy, very_wrong_force]).worst == "worse force"


def test_limits_can_be_wider():
    found = deviations([compared("a", force=1e-8)])

    assert judge(found.criteria(force_limit=1e-7), "").verdict is Verdict.PASS
    assert [c.name for c in found.criteria()] == ["energy_max", "forces_max"]
    assert set(found.as_details()) == set(found._fields)
