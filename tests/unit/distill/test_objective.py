"""The loss and the validation metrics, against arithmetic by hand and against `evaluate`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_samples import CELLS, VALIDATION, lone_atom, short

from mlffd.distill.batches import LabelledGraphs, TrainingBatch
from mlffd.distill.objective import error_sums, metrics_of, score, training_loss
from mlffd.distill.recipe import SIZES
from mlffd.distill.shipping import evaluate
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
    """Up to the 1e-4 eV/Å that smooth lengths of zero have."""
    assert loss_of(perfect(structures)) == pytest.approx(1e-4, rel=0.01)


def test_an_energy_error_counts_per_atom_and_with_its_weight():
    batch = perfect(VALIDATION)
    wrong = replace(batch, energies=batch.energies + 0.3 * batch.batch.atom_counts)
    assert loss_of(wrong) == pytest.approx(2.0 * 0.3 + 1e-4, rel=1e-5)


@pytest.mark.parametrize("error", [[0.3, 0.0, 0.0], [-0.2, 0.1, -0.2]])
def test_a_force_error_counts_by_its_length_whatever_its_direction(error):
    batch = perfect(VALIDATION)
    wrong = replace(batch, forces=batch.forces + torch.tensor(error))
    assert loss_of(wrong) == pytest.approx(0.3 / 3**0.5, rel=1e-5)


def test_lengths_of_force_errors_are_averaged_not_their_squares():
    batch = perfect(VALIDATION)
    few = torch.zeros_like(batch.forces)
    few[:2, 0] = 0.3
    wrong = replace(batch, forces=batch.forces + few)
    assert loss_of(wrong) == pytest.approx(0.3 / 3**0.5 * 2 / len(few), rel=0.01)


def test_a_stress_error_counts_times_volume_per_atom_and_with_its_weight():
    batch = perfect(CELLS)
    assert batch.stresses is not None
    wrong = replace(batch, stresses=batch.stresses + 0.01)
    per_atom = np.mean([12.0**3 / len(cell) for cell in CELLS])
    expected = 0.2 * 0.01 * per_atom + 1e-4
    assert loss_of(wrong) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "structures",
    [VALIDATION, CELLS, [lone_atom(8), lone_atom(1)]],
    ids=["molecules", "cells", "atoms"],
)
def test_the_loss_has_a_finite_gradient_for_every_parameter(structures):
    """Training in several processes waits for all of them, even where they are zero."""
    gradients = torch.autograd.grad(
        training_loss(STUDENT, batch_of(structures), RECIPE), list(STUDENT.parameters())
    )
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_the_loss_of_perfect_forces_still_has_a_gradient():
    """The length of an error of zero has a derivative, which its plain root has not."""
    batch = perfect(VALIDATION)
    gradients = torch.autograd.grad(
        training_loss(STUDENT, batch, RECIPE), list(STUDENT.parameters())
    )
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


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
