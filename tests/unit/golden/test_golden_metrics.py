from dataclasses import replace

import numpy as np
import pytest
from golden_samples import make_structures, perturbed
from hypothesis import given
from hypothesis import strategies as st

from mlffd.errors import InputError
from mlffd.golden.metrics import METRICS, metric_records, metric_values
from mlffd.golden.records import Predictions
from mlffd.golden.residuals import residuals
from mlffd.structures.structure import Structure

MOLECULE = "water/300K-{}".format


def labelled(*energies, forces=(0.0, 0.0, 0.0), name=MOLECULE, **kwargs):
    """Single atoms with these energies; of one molecule unless the name says otherwise."""
    return [
        Structure([1], np.zeros((1, 3)), energy=e, forces=[forces], name=name(i), **kwargs)
        for i, e in enumerate(energies)
    ]


def predicted(structures, energies=None, forces=None, stresses=None):
    """Predictions that are right unless something else is given."""
    return Predictions.concatenate(
        [s.name for s in structures],
        [s.energy for s in structures] if energies is None else energies,
        [s.forces for s in structures] if forces is None else forces,
        stresses,
    )


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 20), scale=st.floats(1e-6, 1e3))
def test_metrics_are_the_plain_errors_over_everything(seed, count, scale):
    structures = make_structures(count, seed)
    predictions = perturbed(structures, scale, seed)
    labels = np.concatenate([s.forces for s in structures])
    energies = np.array([s.energy for s in structures])
    atoms = np.array([len(s) for s in structures])

    found = metric_values(structures, predictions)

    assert found["forces_mae"] == pytest.approx(np.abs(predictions.forces - labels).mean())
    rmse = np.sqrt(((predictions.forces - labels) ** 2).mean())
    assert found["forces_rmse"] == pytest.approx(rmse)
    mae = np.mean(np.abs(predictions.energy - energies) / atoms)
    assert found["energy_mae_per_atom"] == pytest.approx(mae)
    energy_rmse = np.sqrt((((predictions.energy - energies) / atoms) ** 2).mean())
    assert found["energy_rmse_per_atom"] == pytest.approx(energy_rmse)
    r2 = 1 - ((predictions.forces - labels) ** 2).sum() / (labels**2).sum()
    assert found["force_r2"] == pytest.approx(r2)


def test_every_component_counts_alike_however_large_its_structure():
    structures = [
        Structure([1], np.zeros((1, 3)), energy=0.0, forces=np.zeros((1, 3)), name="small"),
        Structure([1] * 3, np.zeros((3, 3)), energy=0.0, forces=np.zeros((3, 3)), name="large"),
    ]
    predictions = Predictions.concatenate(
        ["small", "large"], [2.0, 6.0], [np.full((1, 3), 4.0), np.zeros((3, 3))]
    )

    found = metric_values(structures, predictions)

    assert found == {
        "energy_mae_per_atom": 2.0,
        "energy_rmse_per_atom": 2.0,
        "forces_mae": 1.0,
        "forces_rmse": 2.0,
    }


@pytest.mark.parametrize(
    ("force", "angle"),
    [
        ((2.0, 0.0, 0.0), 0.0),
        ((1.0, 1e-9, 0.0), np.degrees(1e-9)),
        ((5.0, 5.0, 0.0), 45.0),
        ((0.0, 0.0, 1e-12), 90.0),
        ((-1e200, 0.0, 1e200), 135.0),
        ((-1.0, 0.0, 0.0), 180.0),
        ((0.0, 0.0, 0.0), 90.0),
    ],
)
def test_directions_are_compared_whatever_the_size(force, angle):
    structures = labelled(0.0, forces=(1.0, 0.0, 0.0))

    found = metric_values(structures, predicted(structures, forces=[np.array([force])]))

    assert found["forces_angle"] == pytest.approx(angle, rel=1e-6, abs=1e-12)


def test_forces_that_are_nearly_zero_have_no_direction():
    structures = labelled(0.0, forces=(0.09, 0.0, 0.0)) + labelled(0.0, forces=(0.0, 0.11, 0.0))
    opposite, right_angle = np.array([[-1.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    predictions = predicted(structures, forces=[opposite, right_angle])

    assert metric_values(structures, predictions)["forces_angle"] == pytest.approx(90.0)
    alone = predicted(structures[:1], forces=[opposite])
    assert "forces_angle" not in metric_values(structures[:1], alone)


def test_each_molecules_offset_is_taken_off_relative_energies():
    """One molecule is off by 5 and 7, the other by -3 always, and one structure is alone."""
    structures = (
        labelled(1.0, 2.0)
        + labelled(0.0, 4.0, name="ammonia/scan-0-{}".format)
        + labelled(3.0, name="methane/300K-{}".format)
    )
    predictions = predicted(structures, energies=[6.0, 9.0, -3.0, 1.0, 103.0])

    found = metric_values(structures, predictions)

    assert found["relative_energy_mae_per_atom"] == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert found["relative_energy_rmse_per_atom"] == pytest.approx(np.sqrt((1 + 1 + 0 + 0) / 4))
    assert found["energy_mae_per_atom"] == pytest.approx((5 + 7 + 3 + 3 + 100) / 5)


def test_offsets_are_of_molecules_that_names_tell():
    structures = labelled(1.0, 2.0, name="frame {}".format)

    assert "relative_energy_mae_per_atom" not in metric_values(structures, predicted(structures))


def test_stress_is_compared_where_it_is_labelled():
    bare, other = labelled(0.0, 0.0)
    (crystal,) = labelled(0.0, cell=np.eye(3), pbc=[True] * 3, stress=np.ones((3, 3)))
    structures = [bare, crystal, other]
    stresses = [np.full((3, 3), np.nan), np.full((3, 3), 1.5), np.full((3, 3), np.nan)]
    stresses[1][0, 0] = 1.5 - 9.0

    found = metric_values(structures, predicted(structures, stresses=stresses))

    assert found["stress_mae"] == pytest.approx((8 * 0.5 + 8.5) / 9)
    assert "stress_mae" not in metric_values(structures, predicted(structures))
    missing = predicted(structures, stresses=[stresses[0]] * 3)
    assert np.isnan(metric_values(structures, missing)["stress_mae"])


def test_records_name_what_was_averaged_and_over_how_many():
    structures = labelled(0.0, forces=(1.0, 0.0, 0.0)) + labelled(1.0)
    predictions = predicted(structures, energies=[0.5, 1.0])

    found = metric_records(residuals(structures, predictions))

    assert set(found) == {m.name for m in METRICS}
    assert found["energy_mae_per_atom"].value == 0.25
    assert (found["energy_mae_per_atom"].n, found["forces_angle"].n) == (2, 1)
    assert "|E - E_label| / N" in found["energy_mae_per_atom"].reduction
    assert {metric.tolerance for metric in found.values()} == {0.1}


def test_what_is_not_finite_is_no_record():
    structures = labelled(0.0)

    with pytest.raises(InputError, match="energy_mae_per_atom is not finite"):
        metric_records(residuals(structures, predicted(structures, energies=[np.nan])))


def test_unlabelled_structures_are_refused_by_name():
    structures = make_structures(2)
    predictions = perturbed(structures, 0.1)

    for missing in ("energy", "forces"):
        with pytest.raises(InputError, match="molecule-1: no energy or no forces"):
            residuals([structures[0], replace(structures[1], **{missing: None})], predictions)


def test_predictions_of_fewer_structures_are_refused():
    structures = make_structures(3)

    with pytest.raises(InputError, match="2 predictions for 3 structures"):
        residuals(structures, perturbed(structures[:2], 0.1))


def test_one_atom_is_not_broadcast_over_a_molecule():
    one, two = make_structures(2)

    with pytest.raises(InputError, match="molecule-1: predictions are of another structure, of 1"):
        residuals([one, two], perturbed([one, one], 0.1))


def test_squares_beyond_float64_are_infinite_without_a_warning():
    structures = make_structures(2)
    predictions = perturbed(structures, 1e200)

    found = metric_values(structures, predictions)

    assert np.isfinite(found["forces_mae"])
    assert found["forces_rmse"] == np.inf


def test_r2_is_one_for_labels_and_zero_for_no_forces_at_all():
    structures = make_structures(5)
    nothing = [np.zeros_like(s.forces) for s in structures]

    assert metric_values(structures, predicted(structures))["force_r2"] == 1.0
    assert metric_values(structures, predicted(structures, forces=nothing))["force_r2"] == 0.0


def test_there_is_no_r2_without_forces():
    structures = labelled(0.0)

    assert "force_r2" not in metric_values(structures, perturbed(structures, 0.1))
