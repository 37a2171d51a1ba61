"""Training: exact references, a falling loss, the same weights for the same seed."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_samples import (
    CELLS,
    REFERENCES,
    TRAIN,
    VALIDATION,
    lone_atom,
    short,
    spring_cluster,
)

import mlffd.distill.train as train_module
from mlffd.distill import compiled_step
from mlffd.distill.compiled_step import CompiledStep
from mlffd.distill.objective import score
from mlffd.distill.recipe import SIZES
from mlffd.distill.shipping import evaluate
from mlffd.distill.train import set_reference_energies, train_student
from mlffd.distill.trainer import Hardware
from mlffd.errors import InputError
from mlffd.students import build


@pytest.fixture
def _lightning() -> None:
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")


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


@pytest.mark.usefixtures("_lightning")
def test_training_learns():
    untrained = build("StudentForceField", SIZES["ultra_tiny"])
    set_reference_energies(untrained, TRAIN)
    before = evaluate(untrained, VALIDATION)
    trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=short(epochs=50))
    after = evaluate(trained.student, VALIDATION)
    assert after["forces_rmse"] < 0.5 * before["forces_rmse"]
    assert trained.history[-1].loss < 0.5 * trained.history[0].loss


@pytest.mark.usefixtures("_lightning")
def test_the_best_epoch_on_validation_is_returned():
    # A high rate that ends in the middle of its ups and downs.
    recipe = short(epochs=6, learning_rate=0.05, averaging=0.1)
    trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=recipe)
    assert [epoch.number for epoch in trained.history] == [1, 2, 3, 4, 5, 6]
    scores = [score(epoch.validation, recipe) for epoch in trained.history]
    assert trained.best == trained.history[int(np.argmin(scores))]
    metrics = evaluate(trained.student, VALIDATION)
    expected = {name: metrics[name] for name in trained.best.validation}
    assert trained.best.validation == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("_lightning")
def test_only_validated_epochs_can_be_best():
    recipe = short(epochs=5, validate_every=3)
    trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=recipe)
    validated = [epoch.number for epoch in trained.history if epoch.validation is not None]
    assert validated == [2, 5]
    assert trained.best.number in validated


@pytest.mark.usefixtures("_lightning")
def test_the_seed_decides_the_weights_and_nothing_else_does():
    states = []
    for unrelated, seed in ((1, 3), (2, 3), (2, 4)):
        torch.manual_seed(unrelated)
        recipe = short(seed=seed)
        trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=recipe)
        states.append(trained.student.state_dict())
    first, again, other = states
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["energy_head.0.weight"], other["energy_head.0.weight"])


@pytest.mark.usefixtures("_lightning")
def test_training_leaves_the_global_switches_and_random_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("medium")
    try:
        train_student(TRAIN[:8], VALIDATION, size="ultra_tiny", recipe=short(epochs=1))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.is_grad_enabled()


@pytest.mark.usefixtures("_lightning")
def test_weights_of_elements_that_do_not_occur_stay_as_they_were():
    trained = train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=short()).student
    assert type(trained).trained_elements(trained.state_dict()) == frozenset(REFERENCES)


@pytest.mark.usefixtures("_lightning")
def test_cells_among_molecules_train_stress_without_spoiling_anything():
    trained = train_student(
        TRAIN + CELLS, VALIDATION + CELLS, size="ultra_tiny", recipe=short(epochs=3)
    )
    assert all(np.isfinite(epoch.loss) for epoch in trained.history)
    assert np.isfinite(trained.best.validation["stress_mae"])
    assert all(torch.isfinite(p).all() for p in trained.student.parameters())


@pytest.mark.usefixtures("_lightning")
def test_a_stress_label_changes_what_is_learnt():
    others = [replace(cell, stress=cell.stress + 0.01) for cell in CELLS]
    first, second = (
        train_student(c, VALIDATION, size="ultra_tiny", recipe=short()).student
        for c in (CELLS, others)
    )
    assert not torch.equal(first.embedding.weight, second.embedding.weight)


@pytest.fixture
def _nothing_compiled(monkeypatch) -> None:
    """The compiled step without tracing and compiling, which take minutes."""
    monkeypatch.setattr(compiled_step, "make_fx", lambda function, **_: lambda *example: function)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


@pytest.mark.usefixtures("_lightning", "_nothing_compiled")
def test_compiled_steps_among_others_give_the_same_weights(monkeypatch):
    """Cells take the other way."""
    taken = []
    original = CompiledStep.__call__
    monkeypatch.setattr(
        CompiledStep, "__call__", lambda self, batch: taken.append(batch) or original(self, batch)
    )
    eager, compiled = (
        train_student(TRAIN + CELLS, VALIDATION, size="ultra_tiny", recipe=short(compiled=compiled))
        for compiled in (False, True)
    )
    assert len(taken) == 2 * 3  # of two epochs of four steps
    assert not any(batch.periodic for batch in taken)
    for key, value in eager.student.state_dict().items():
        torch.testing.assert_close(compiled.student.state_dict()[key], value, atol=1e-6, rtol=1e-5)
    losses = [[epoch.loss for epoch in trained.history] for trained in (eager, compiled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.usefixtures("_lightning", "_nothing_compiled")
@pytest.mark.parametrize(
    "train", [CELLS, [TRAIN[0]], [lone_atom(1), lone_atom(8)]], ids=["cells", "one", "atoms"]
)
def test_what_no_graph_can_be_made_of_is_refused(train):
    with pytest.raises(InputError, match="--compile needs steps with several molecules"):
        train_student(train, train, size="ultra_tiny", recipe=short(compiled=True))


@pytest.mark.usefixtures("_lightning")
def test_compiling_is_refused_with_several_devices_before_any_starts(monkeypatch):
    monkeypatch.setattr(train_module, "fit", lambda *_, **__: pytest.fail("started"))
    with pytest.raises(InputError, match="--compile works on one device only, found --devices 2"):
        train_student(
            TRAIN,
            VALIDATION,
            size="ultra_tiny",
            recipe=short(compiled=True),
            hardware=Hardware(devices=2),
        )


@pytest.mark.usefixtures("_lightning")
def test_progress_is_told_by_step_and_by_epoch():
    steps, epochs = [], []
    train_student(
        TRAIN,
        VALIDATION,
        size="ultra_tiny",
        recipe=short(),
        on_step=lambda done, total: steps.append((done, total)),
        on_epoch=lambda epoch: epochs.append(epoch.number),
    )
    assert steps == [(done, 6) for done in range(7)]
    assert epochs == [1, 2]


@pytest.mark.usefixtures("_lightning")
def test_training_that_diverges_gives_no_student():
    absurd = short(learning_rate=1e20, warmup_steps=1)
    with pytest.raises(InputError, match=r"diverged in epoch [12]: the loss is (nan|inf)"):
        train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=absurd)


@pytest.mark.usefixtures("_lightning")
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


@pytest.mark.usefixtures("_lightning")
def test_elements_that_only_validation_has_are_named():
    strange = replace(VALIDATION[0], numbers=np.full(len(VALIDATION[0]), 35))
    with pytest.raises(InputError, match=r"validation: has elements .* not occur in train: Br"):
        train_student(TRAIN, [*VALIDATION, strange], size="ultra_tiny", recipe=short())


@pytest.mark.usefixtures("_lightning")
def test_an_unknown_size_is_refused():
    with pytest.raises(InputError, match="'huge' is unknown"):
        train_student(TRAIN, VALIDATION, size="huge", recipe=short())


def test_without_lightning_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(InputError, match=r"lightning is not installed: .*'mlffd\[train\]'"):
        train_student(TRAIN, VALIDATION, size="ultra_tiny", recipe=short())
