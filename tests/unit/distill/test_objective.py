"""The loss and the validation metrics, against arithmetic by hand and against `evaluate`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_samples import CELLS, VALIDATION, short

from mlffd.distill.batches import LabelledGraphs, TrainingBatch
from mlffd.distill.evaluation import evaluate
from mlffd.distill.objective import error_sums, metrics_of, score, training_loss
from mlffd.distill.recipe import SIZES
from mlffd.students import build

with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    STUDENT = build("StudentForceField", SIZES["ultra_tiny"])
RECIPE = short(energy_weight=2.0, stress_weight=0.2)


def batch_of(structures) -> TrainingBatch:
    return LabelledGraphs(structures, STUDENT.cutoff).select(np.arange(len(structures)))


def perfect(structures) -> TrainingBatch:
    """With the student's own predictions for labels."""
    batch = batch_of(structures)
    found = STUDENT(batch.batch, stress=batch.periodic)
    labels = {"energies": found.energy, "forces": found.forces, "stresses": found.stress}
    return replace(batch, **labels)


def loss_of(batch: TrainingBatch) -> float:
    return float(training_loss(STUDENT, batch, RECIPE).detach())


@pytest.mark.parametrize("structures", [VALIDATION, CELLS])
def test_the_loss_of_perfect_predictions_is_zero(structures):
    assert loss_of(perfect(structures)) < 1e-6


def test_an_energy_error_counts_per_atom_and_with_its_weight():
    batch = perfect(VALIDATION)
    wrong = replace(batch, energies=batch.energies + 0.3 * batch.batch.atom_counts)
    assert loss_of(wrong) == pytest.approx(2.0 * 0.3, rel=1e-5)


def test_a_force_error_counts_per_component():
    batch = perfect(VALIDATION)
    wrong = replace(batch, forces=batch.forces + torch.tensor([0.3, 0.0, 0.0]))
    assert loss_of(wrong) == pytest.approx(0.1, rel=1e-5)


def test_a_stress_error_counts_times_volume_per_atom_and_with_its_weight():
    batch = perfect(CELLS)
    assert batch.stresses is not None
    wrong = replace(batch, stresses=batch.stresses + 0.01)
    per_atom = np.mean([12.0**3 / len(cell) for cell in CELLS])
    expected = 0.2 * 0.01 * per_atom
    assert loss_of(wrong) == pytest.approx(expected, rel=1e-4)


def test_the_loss_has_gradients_for_all_that_matters():
    training_loss(STUDENT, batch_of(CELLS), RECIPE).backward()
    gradients = {name: p.grad for name, p in STUDENT.named_parameters()}
    STUDENT.zero_grad()
    # The last mixing of vectors has no way to the energy.
    assert [k for k, g in gradients.items() if g is None] == ["interactions.1.update.mixing_matrix"]
    assert all(g is None or torch.isfinite(g).all() for g in gradients.values())


def test_metrics_of_several_batches_are_those_of_the_whole_data_set():
    structures = VALIDATION + CELLS
    batches = [batch_of(VALIDATION[:3]), batch_of(VALIDATION[3:]), batch_of(CELLS)]
    found = metrics_of(error_sums(STUDENT, batches, torch.device("cpu")))
    expected = evaluate(STUDENT, structures)
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-5)
    assert found.keys() == {"energy_mae_per_atom", "forces_mae", "forces_rmse", "stress_mae"}


def test_molecules_alone_have_no_stress_metric():
    found = metrics_of(error_sums(STUDENT, [batch_of(VALIDATION)], torch.device("cpu")))
    assert "stress_mae" not in found


def test_the_score_weighs_energy_as_the_loss_does():
    assert score({"forces_mae": 0.1, "energy_mae_per_atom": 0.01}, RECIPE) == pytest.approx(0.12)
