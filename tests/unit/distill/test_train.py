"""Training: exact references, a falling loss, the same weights for the same seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlffd.distill.evaluation import evaluate
from mlffd.distill.train import (
    SIZES,
    Recipe,
    set_reference_energies,
    train_student,
)
from mlffd.errors import InputError
from mlffd.structures.structure import Structure
from mlffd.students import build

REFERENCES = {1: -13.1, 8: -2043.25}

#: Of the toy teacher's springs: eV/Å², Å.
STIFFNESS, LENGTH = 2.0, 1.2


def spring_cluster(seed: int, *, periodic: bool = False) -> Structure:
    """Three or four atoms, all pairs joined by springs: energy, forces and stress by hand.

    The springs know no images; the cell is too large for a student to see any.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.choice([1, 8], size=3 + seed % 2)
    corners = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) * LENGTH / np.sqrt(2)
    positions = corners[: len(numbers)] + 0.15 * rng.normal(size=(len(numbers), 3))
    vectors = positions[:, None] - positions
    distances = np.linalg.norm(vectors, axis=2) + np.eye(len(numbers))
    stretch = (distances - LENGTH) * (1 - np.eye(len(numbers)))
    pulls = STIFFNESS * (stretch / distances)[:, :, None] * vectors
    return Structure(
        numbers=numbers,
        positions=positions,
        energy=sum(REFERENCES[int(z)] for z in numbers) + STIFFNESS / 4 * (stretch**2).sum(),
        forces=-pulls.sum(axis=1),
        cell=12.0 * np.eye(3) if periodic else None,
        pbc=np.full(3, periodic),
        stress=np.einsum("ijx,ijy->xy", vectors, pulls) / 2 / 12.0**3 if periodic else None,
        name=f"cluster-{seed}",
    )


TRAIN = [spring_cluster(seed) for seed in range(24)]
VALIDATION = [spring_cluster(seed) for seed in range(100, 108)]


def short(epochs: int = 2, seed: int = 0) -> Recipe:
    # The average of a short run must not remember the beginning.
    return Recipe(epochs=epochs, seed=seed, warmup_steps=5, averaging=0.9)


@pytest.mark.parametrize(
    ("size", "count"), [("original", 427_292), ("tiny", 77_203), ("ultra_tiny", 21_459)]
)
def test_sizes_have_the_parameters_that_their_names_promise(size, count):
    assert build("StudentForceField", SIZES[size]).parameter_count == count


def test_reference_energies_are_recovered_from_energies_that_are_sums_of_them():
    structures = [replace(s, energy=sum(REFERENCES[int(z)] for z in s.numbers)) for s in TRAIN]
    student = build("StudentForceField", SIZES["ultra_tiny"])
    set_reference_energies(student, structures)
    references = student.get_buffer("reference_energies")
    assert references.dtype == torch.float64
    for number, energy in REFERENCES.items():
        assert references[number].item() == pytest.approx(energy, abs=1e-9)
    others = [z for z in range(101) if z not in REFERENCES]
    assert not references[others].any()


def test_training_learns():
    untrained = build("StudentForceField", SIZES["ultra_tiny"])
    set_reference_energies(untrained, TRAIN)
    before = evaluate(untrained, VALIDATION)
    trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=short(epochs=30))
    after = evaluate(trained.student, VALIDATION)
    assert after["forces_rmse"] < 0.5 * before["forces_rmse"]
    assert trained.history[-1].loss < 0.5 * trained.history[0].loss


def test_the_best_epoch_on_validation_is_returned():
    trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=short(epochs=6))
    scores = [
        e.validation["forces_mae"] + 2 * e.validation["energy_mae_per_atom"]
        for e in trained.history
    ]
    assert trained.best == trained.history[int(np.argmin(scores))]
    assert evaluate(trained.student, VALIDATION) == trained.best.validation


def test_the_seed_decides_the_weights_and_nothing_else_does():
    states = []
    for unrelated, seed in ((1, 3), (2, 3), (2, 4)):
        torch.manual_seed(unrelated)
        trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=short(seed=seed))
        states.append(trained.student.state_dict())
    first, again, other = states
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["energy_head.0.weight"], other["energy_head.0.weight"])


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train_student(TRAIN[:8], VALIDATION, size="ultra_tiny", recipe=short(epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_weights_of_elements_that_do_not_occur_stay_as_they_were():
    trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=short()).student
    assert type(trained).trained_elements(trained.state_dict()) == frozenset(REFERENCES)


def test_cells_among_molecules_train_stress_without_spoiling_anything():
    cells = [spring_cluster(seed, periodic=True) for seed in range(200, 206)]
    trained = train_student(
        TRAIN + cells, VALIDATION + cells, size="ultra_tiny", recipe=short(epochs=3)
    )
    assert all(np.isfinite(epoch.loss) for epoch in trained.history)
    assert np.isfinite(trained.best.validation["stress_mae"])
    assert all(torch.isfinite(p).all() for p in trained.student.parameters())


def test_a_stress_label_changes_what_is_learnt():
    cells = [spring_cluster(seed, periodic=True) for seed in range(200, 206)]
    others = [replace(cell, stress=cell.stress + 0.01) for cell in cells]
    first, second = (
        train_student(c, VALIDATION, size="ultra_tiny", recipe=short()).student
        for c in (cells, others)
    )
    assert not torch.equal(first.embedding.weight, second.embedding.weight)


@pytest.mark.parametrize(
    ("train", "complaint"),
    [
        ([], "train: expected labelled structures, found none"),
        ([replace(TRAIN[0], energy=None)], "train: cluster-0 has no energy"),
        ([replace(TRAIN[0], forces=None)], "train: cluster-0 has no forces"),
        (
            [replace(spring_cluster(0, periodic=True), stress=None)],
            "train: cluster-0 has no stress",
        ),
    ],
)
def test_missing_labels_are_named(train, complaint):
    with pytest.raises(InputError, match=complaint):
        train_student(train, VALIDATION, size="ultra_tiny", recipe=short())


def test_an_unknown_size_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="'huge' is unknown, expected one of original, tiny"):
        train_student(TRAIN, VALIDATION, size="huge", recipe=short())


def test_training_that_diverges_gives_no_student():
    absurd = Recipe(epochs=1, seed=0, warmup_steps=1, learning_rate=1e20)
    with pytest.raises(InputError, match="diverged: no epoch of 1 has a finite error"):
        train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=absurd)
