"""Training: a plain torch loop that fits a student to labelled structures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mlffd.distill.evaluation import evaluate
from mlffd.errors import InputError
from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure
from mlffd.students import Student, build

#: The sizes of `StudentForceField` that have a name.
SIZES: dict[str, dict[str, int]] = {
    "original": {"hidden_dim": 128, "num_interactions": 3, "num_rbf": 20},
    "tiny": {"hidden_dim": 64, "num_interactions": 2, "num_rbf": 12},
    "ultra_tiny": {"hidden_dim": 32, "num_interactions": 2, "num_rbf": 10},
}


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults made the shipped student; they are recorded beside its weights.

    Attributes:
        epochs: passes over the training structures.
        seed: of the initial weights and of the order of the structures.
        batch_size: structures per step.
        learning_rate: at its peak, after the warm-up; then it falls to zero as a cosine.
        warmup_steps: during which the learning rate rises linearly.
        largest_gradient: norms above it are scaled down.
        averaging: of the weights from step to step, exponential; the average is what is kept.
        energy_weight: of the mean absolute energy error per atom (eV), relative to that of forces
            (eV/Å).
        stress_weight: of the mean absolute error of stress times volume per atom (eV).
    """

    epochs: int
    seed: int
    batch_size: int = 8
    learning_rate: float = 5e-3
    warmup_steps: int = 200
    largest_gradient: float = 10.0
    averaging: float = 0.995
    energy_weight: float = 2.0
    stress_weight: float = 0.2


@dataclass(frozen=True)
class Epoch:
    """What happened in one epoch.

    Attributes:
        number: from 1.
        loss: mean over the steps.
        validation: metrics of the averaged weights, see `evaluate`.
    """

    number: int
    loss: float
    validation: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes:
        student: with the averaged weights of the epoch that was best on validation, in float32.
        best: that epoch.
        history: all epochs.
    """

    student: Student
    best: Epoch
    history: list[Epoch]


def train_student(
    train: Sequence[Structure],
    validation: Sequence[Structure],
    *,
    size: str,
    recipe: Recipe,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a revision 2 student; the same arguments on the same machine give the same weights.

    The loss is the mean absolute error of the force components plus those of energy and stress,
    weighted. The best epoch has the smallest loss on validation.

    Args:
        train: labelled with energies and forces, and stresses where periodic.
        validation: the same; not trained on.
        size: a key of `SIZES`.
        recipe: how.
        on_epoch: called after every epoch.

    Raises:
        InputError: unknown size, a data set is empty, or a label is missing.
    """
    if size not in SIZES:
        raise InputError(f"size {size!r} is unknown, expected one of {', '.join(SIZES)}")
    for key, structures in (("train", train), ("validation", validation)):
        require_labels(structures, key)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        student = build("StudentForceField", {**SIZES[size], "revision": 2})
    set_reference_energies(student, train)
    rng = np.random.default_rng(recipe.seed)
    steps = recipe.epochs * len(_batches(train, recipe.batch_size, rng))
    # No weight decay: it would move the embeddings of elements that do not occur.
    optimizer = torch.optim.AdamW(student.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(step, steps, recipe.warmup_steps)
    )
    average = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(recipe.averaging))
    averaged = cast(Student, average.module)
    history: list[Epoch] = []
    best: Epoch | None = None
    best_score = math.inf
    best_weights: dict[str, Tensor] = {}
    for number in range(1, recipe.epochs + 1):
        losses = []
        for group in _batches(train, recipe.batch_size, rng):
            loss = _loss(student, group, recipe)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(student.parameters(), recipe.largest_gradient)
            optimizer.step()
            schedule.step()
            average.update_parameters(student)
            losses.append(float(loss.detach()))
        metrics = evaluate(averaged, validation)
        history.append(Epoch(number, float(np.mean(losses)), metrics))
        score = metrics["forces_mae"] + recipe.energy_weight * metrics["energy_mae_per_atom"]
        if score < best_score:
            best_score = score
            best_weights = {k: v.clone() for k, v in averaged.state_dict().items()}
            best = history[-1]
        if on_epoch is not None:
            on_epoch(history[-1])
    if best is None:
        raise InputError(f"training diverged: no epoch of {recipe.epochs} has a finite error")
    student.load_state_dict(best_weights)
    return Trained(student=student, best=best, history=history)


def require_labels(structures: Sequence[Structure], key: str) -> None:
    """Refuse to go on without labels.

    Args:
        structures: what is to have energies and forces, and stresses where periodic.
        key: what to call them.

    Raises:
        InputError: there are none, or a label is missing.
    """
    if not structures:
        raise InputError(f"{key}: expected labelled structures, found none")
    for structure in structures:
        labels = [("energy", structure.energy), ("forces", structure.forces)]
        if structure.is_periodic:
            labels.append(("stress", structure.stress))
        for name, value in labels:
            if value is None:
                raise InputError(f"{key}: {structure.label} has no {name}")


def set_reference_energies(student: Student, structures: Sequence[Structure]) -> None:
    """Write the least-squares energy of each element, eV, into the float64 buffer.

    What is left for the network is of the size of a bond energy, not of a total energy. Elements
    that do not occur keep zero.
    """
    numbers = np.unique(np.concatenate([s.numbers for s in structures]))
    counts = np.array([(s.numbers[:, None] == numbers).sum(axis=0) for s in structures])
    energies = np.array([s.energy for s in structures], dtype=np.float64)
    fitted = np.linalg.lstsq(counts.astype(np.float64), energies, rcond=None)[0]
    student.get_buffer("reference_energies")[numbers] = torch.from_numpy(fitted)


def _batches(
    structures: Sequence[Structure], size: int, rng: np.random.Generator
) -> list[list[Structure]]:
    """All structures once, in random order and company.

    Cells and molecules do not mix: a molecule has no volume, hence a stress of NaN, whose
    derivative would spoil that of the whole batch.
    """
    batches: list[list[Structure]] = []
    for periodic in (False, True):
        group = [s for s in structures if s.is_periodic == periodic]
        shuffled = [group[i] for i in rng.permutation(len(group))]
        batches += [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _loss(student: Student, group: Sequence[Structure], recipe: Recipe) -> Tensor:
    periodic = group[0].is_periodic
    batch = collate(group, student.cutoff, dtype=torch.float32)
    prediction = student(batch, stress=periodic, create_graph=True)
    energy_error = (prediction.energy - _energies(group)) / batch.atom_counts
    loss: Tensor = (prediction.forces - _forces(group)).abs().mean()
    loss = loss + recipe.energy_weight * energy_error.abs().mean()
    if periodic:
        stresses = torch.from_numpy(np.stack([s.stress for s in group if s.stress is not None]))
        per_atom = (batch.volumes() / batch.atom_counts)[:, None, None]
        stress_error = (prediction.stress - stresses) * per_atom
        loss = loss + recipe.stress_weight * stress_error.abs().mean()
    return loss


def _energies(group: Sequence[Structure]) -> Tensor:
    return torch.tensor([s.energy for s in group], dtype=torch.float64)


def _forces(group: Sequence[Structure]) -> Tensor:
    return torch.from_numpy(np.concatenate([s.forces for s in group]))


def _rate(step: int, steps: int, warmup: int) -> float:
    """Fraction of the peak learning rate: linear up, then half a cosine down."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
