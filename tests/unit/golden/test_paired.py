from dataclasses import replace

import numpy as np
import pytest
from ase.data import chemical_symbols
from golden_samples import make_structures, perturbed, scaled

from mlffd.checks.evidence import plain
from mlffd.errors import InputError
from mlffd.golden.compare import Status
from mlffd.golden.paired import pair
from mlffd.golden.records import Predictions
from mlffd.golden.residuals import residuals

STRUCTURES = make_structures(60)
PREDICTIONS = perturbed(STRUCTURES, 0.1)
BASELINE = residuals(STRUCTURES, PREDICTIONS)


def paired_with(predictions, baseline=BASELINE):
    return pair(baseline, residuals(STRUCTURES, predictions))


def moved(change, chosen):
    """The forces on some structures, moved."""
    forces = PREDICTIONS.forces.copy()
    for index in chosen:
        forces[PREDICTIONS.splits[index] : PREDICTIONS.splits[index + 1]] += change
    return Predictions(PREDICTIONS.names, PREDICTIONS.energy, forces, PREDICTIONS.splits)


def test_the_same_predictions_differ_in_nothing():
    found = paired_with(PREDICTIONS)

    assert {c.status for c in found.metrics} == {Status.PASS}
    assert set(found.by_element.values()) == {(0.0, 0.0, 0.0)}
    assert found.worst == []
    assert found.baseline == found.candidate


def test_an_element_that_got_worse_is_the_one_that_changes():
    oxygen = np.concatenate([s.numbers for s in STRUCTURES]) == 8
    forces = PREDICTIONS.forces.copy()
    labels = np.concatenate([s.forces for s in STRUCTURES])
    forces[oxygen] += 0.5 * (forces - labels)[oxygen]

    found = paired_with(
        Predictions(PREDICTIONS.names, PREDICTIONS.energy, forces, PREDICTIONS.splits)
    )

    assert found.by_element["O"] == pytest.approx((0.5, 0.5, 0.5))
    assert found.by_element["H"] == found.by_element["C"] == (0.0, 0.0, 0.0)


def test_an_element_of_few_structures_has_no_change():
    structures = [replace(s, numbers=np.full(len(s), 6)) for s in STRUCTURES]
    structures[0] = replace(structures[0], numbers=np.full(len(structures[0]), 9))
    baseline = residuals(structures, PREDICTIONS)

    found = pair(baseline, baseline)

    assert found.by_element == {"C": (0.0, 0.0, 0.0), "F": None}


def test_the_structures_that_got_worse_by_most_come_first():
    found = paired_with(moved(3.0, [4, 17, 33]))

    assert {w.name for w in found.worst} == {STRUCTURES[i].name for i in (4, 17, 33)}
    before, after = found.worst[0].forces_rmse
    assert after > before + 2.0
    assert found.worst[0].energy_per_atom[0] == found.worst[0].energy_per_atom[1] > 0


def test_however_little_worse_is_among_the_worst():
    assert [w.name for w in paired_with(moved(0.2, [4])).worst] == [STRUCTURES[4].name]


def test_what_got_better_is_not_among_the_worst():
    assert paired_with(scaled(STRUCTURES, PREDICTIONS, 0.5)).worst == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_candidate_that_is_not_finite_is_worst_and_has_no_interval(value):
    found = paired_with(moved(value, [9]))

    assert found.worst[0].name == STRUCTURES[9].name
    statuses = {c.metric: c.status for c in found.metrics}
    assert statuses["forces_rmse"] is Status.NON_FINITE
    assert statuses["energy_mae_per_atom"] is Status.PASS
    lost = {chemical_symbols[number] for number in STRUCTURES[9].numbers}
    assert {symbol for symbol, change in found.by_element.items() if change is None} == lost
    document = plain(found.as_dict())
    assert document["worst"][0]["forces_rmse"][1] is None


def test_a_baseline_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="forces_mae is not finite"):
        paired_with(PREDICTIONS, residuals(STRUCTURES, moved(np.nan, [9])))
