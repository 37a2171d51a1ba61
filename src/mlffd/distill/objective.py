"""What training makes small, and what the best epoch is chosen by."""

from collections.abc import Iterable

import torch
from torch import Tensor

from mlffd.distill.batches import TrainingBatch
from mlffd.distill.recipe import Recipe
from mlffd.students import Student

#: eV²/Å²: keeps the gradient of a length finite where the error is zero.
_SMOOTH = 1e-8

#: Sums that `error_sums` gives, in this order.
_SUMS = 7


def training_loss(student: Student, batch: TrainingBatch, recipe: Recipe) -> Tensor:
    """The mean length of force errors plus mean absolute errors of energy and stress, weighted.

    Lengths are divided by the root of three, which makes them the size of a component; energies
    count per atom, and stresses times volume per atom.
    """
    prediction = student(batch.batch, stress=batch.periodic, create_graph=True)
    counts = batch.batch.atom_counts
    squares = ((prediction.forces - batch.forces) ** 2).sum(dim=1)
    loss: Tensor = torch.sqrt(squares / 3.0 + _SMOOTH).mean()
    energy_error = (prediction.energy - batch.energies) / counts
    loss = loss + recipe.energy_weight * energy_error.abs().mean()
    if batch.stresses is not None:
        per_atom = (batch.batch.volumes() / counts)[:, None, None]
        stress_error = (prediction.stress - batch.stresses) * per_atom
        loss = loss + recipe.stress_weight * stress_error.abs().mean()
    return loss


def error_sums(student: Student, batches: Iterable[TrainingBatch], device: torch.device) -> Tensor:
    """Sums of errors, float64 ``[7]``: add those of several processes, then see `metrics_of`."""
    sums = torch.zeros(_SUMS, dtype=torch.float64, device=device)
    for batch in batches:
        prediction = student(batch.batch, stress=batch.periodic)
        force_error = (prediction.forces - batch.forces).double()
        energy_error = (prediction.energy - batch.energies) / batch.batch.atom_counts
        sums[0] += energy_error.abs().sum()
        sums[1] += len(batch.batch)
        sums[2] += force_error.abs().sum()
        sums[3] += (force_error**2).sum()
        sums[4] += force_error.numel()
        if batch.stresses is not None:
            stress_error = (prediction.stress - batch.stresses).double()
            sums[5] += stress_error.abs().sum()
            sums[6] += stress_error.numel()
    return sums


def metrics_of(sums: Tensor) -> dict[str, float]:
    """Metrics by the names that `mlffd.distill.shipping.evaluate` has for them."""
    energy, structures, forces, squares, components, stress, stresses = sums.tolist()
    metrics = {
        "energy_mae_per_atom": energy / structures,
        "forces_mae": forces / components,
        "forces_rmse": (squares / components) ** 0.5,
    }
    if stresses:
        metrics["stress_mae"] = stress / stresses
    return metrics


def score(metrics: dict[str, float], recipe: Recipe) -> float:
    """What the best epoch has the least of: mean absolute errors of forces and, weighted, energies.

    Forces count by component, energies with their weight in the loss, and stresses not at all.
    """
    return metrics["forces_mae"] + recipe.energy_weight * metrics["energy_mae_per_atom"]
