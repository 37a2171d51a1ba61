import numpy as np
import pytest
from golden_samples import make_structures, perturbed
from hypothesis import given
from hypothesis import strategies as st

from mlffd.errors import InputError
from mlffd.golden.metrics import METRICS, force_r2, metric_terms
from mlffd.golden.records import Predictions
from mlffd.structures.structure import Structure


def values(structures, predictions):
    terms = metric_terms(structures, predictions)
    return {m.name: m.value(terms[m.name]) for m in METRICS}


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 20), scale=st.floats(1e-6, 1e3))
def test_metrics_are_the_plain_errors_over_everything(seed, count, scale):
    structures = make_structures(count, seed)
    predictions = perturbed(structures, scale, seed)
    labels = np.concatenate([s.forces for s in structures])
    energies = np.array([s.energy for s in structures])
    atoms = np.array([len(s) for s in structures])

    found = values(structures, predictions)

    assert found["forces_mae"] == pytest.approx(np.abs(predictions.forces - labels).mean())
    rmse = np.sqrt(((predictions.forces - labels) ** 2).mean())
    assert found["forces_rmse"] == pytest.approx(rmse)
    mae = np.mean(np.abs(predictions.energy - energies) / atoms)
    assert found["energy_mae_per_atom"] == pytest.approx(mae)


def test_every_component_counts_alike_however_large_its_structure():
    structures = [
        Structure([1], np.zeros((1, 3)), energy=0.0, forces=np.zeros((1, 3)), name="small"),
        Structure([1] * 3, np.zeros((3, 3)), energy=0.0, forces=np.zeros((3, 3)), name="large"),
    ]
    predictions = Predictions.concatenate(
        ["small", "large"], [2.0, 6.0], [np.full((1, 3), 4.0), np.zeros((3, 3))]
    )

    found = values(structures, predictions)

    assert found == {"energy_mae_per_atom": 2.0, "forces_mae": 1.0, "forces_rmse": 2.0}


def test_unlabelled_structures_are_refused_by_name():
    structures = make_structures(2)
    predictions = perturbed(structures, 0.1)
    unlabelled = structures[1].with_positions(structures[1].positions)

    with pytest.raises(InputError, match="molecule-1: no energy or no forces"):
        metric_terms([structures[0], unlabelled], predictions)


def test_predictions_of_fewer_structures_are_refused():
    structures = make_structures(3)

    with pytest.raises(InputError, match="2 predictions for 3 structures"):
        metric_terms(structures, perturbed(structures[:2], 0.1))


def test_one_atom_is_not_broadcast_over_a_molecule():
    one, two = make_structures(2)

    with pytest.raises(InputError, match="molecule-1: predictions are of another structure, of 1"):
        metric_terms([one, two], perturbed([one, one], 0.1))


def test_squares_beyond_float64_are_infinite_without_a_warning():
    structures = make_structures(2)
    predictions = perturbed(structures, 1e200)

    found = values(structures, predictions)

    assert np.isfinite(found["forces_mae"])
    assert found["forces_rmse"] == np.inf


def test_r2_is_one_for_labels_and_zero_for_their_mean():
    structures = make_structures(5)
    labels = [s.forces for s in structures]
    names, energies = [s.name for s in structures], [s.energy for s in structures]
    mean = np.concatenate(labels).mean()

    exact = Predictions.concatenate(names, energies, labels)
    constant = Predictions.concatenate(names, energies, [np.full_like(f, mean) for f in labels])

    assert force_r2(structures, exact) == 1.0
    assert force_r2(structures, constant) == pytest.approx(0.0, abs=1e-12)


def test_r2_of_equal_labels_is_not_a_number():
    structure = Structure([1], np.zeros((1, 3)), energy=0.0, forces=np.zeros((1, 3)))

    assert np.isnan(force_r2([structure], perturbed([structure], 0.1)))
