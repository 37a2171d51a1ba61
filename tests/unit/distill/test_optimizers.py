"""Each parameter has its optimizer; the learning rate rises, then falls to nothing."""

import numpy as np
import pytest
import torch
from torch.optim import AdamW, Muon
from training_samples import REFERENCES, TRAIN, short

from mlffd.distill.batches import LabelledGraphs
from mlffd.distill.objective import training_loss
from mlffd.distill.optimizers import make_optimizers, rate_schedule
from mlffd.distill.recipe import SIZES
from mlffd.students import build


def test_every_parameter_belongs_to_one_optimizer():
    student = build("StudentForceField", SIZES["tiny"])
    optimizers = make_optimizers(student, short())
    held = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in student.parameters())


def names_by_optimizer(size):
    """Names of parameters, by the kind of their optimizer."""
    student = build("StudentForceField", SIZES[size])
    names = {id(parameter): name for name, parameter in student.named_parameters()}
    return {
        type(optimizer): {names[id(p)] for group in optimizer.param_groups for p in group["params"]}
        for optimizer in make_optimizers(student, short())
    }


@pytest.mark.parametrize("size", SIZES)
def test_muon_moves_the_matrices_of_hidden_layers_and_nothing_else(size):
    layers = range(SIZES[size]["num_interactions"])
    hidden = {"energy_head.0.weight", "energy_head.2.weight"}
    for k in layers:
        for part in ("message.rbf_to_scalar.0", "message.rbf_to_scalar.2"):
            hidden.add(f"interactions.{k}.{part}.weight")
        for part in ("update.update_mlp.0", "update.update_mlp.2"):
            hidden.add(f"interactions.{k}.{part}.weight")
    found = names_by_optimizer(size)
    assert found[Muon] == hidden
    # Neither the embeddings, of which most rows have no gradient, nor the last layer, of one row.
    assert {"embedding.weight", "energy_head.4.weight"} < found[AdamW]
    assert {f"interactions.{k}.update.mixing_matrix" for k in layers} < found[AdamW]
    assert all(name.endswith((".weight", ".bias", "_matrix")) for name in found[AdamW])


def test_embeddings_of_absent_elements_do_not_move_by_a_bit():
    torch.manual_seed(0)
    student = build("StudentForceField", SIZES["ultra_tiny"])
    before = student.embedding.weight.detach().clone()
    recipe = short()
    optimizers = make_optimizers(student, recipe)
    batch = LabelledGraphs(TRAIN, student.cutoff).select(np.arange(6))
    for _ in range(3):
        student.zero_grad()
        training_loss(student, batch, recipe).backward()
        for optimizer in optimizers:
            optimizer.step()
    moved = (student.embedding.weight != before).any(dim=1)
    assert set(torch.nonzero(moved).flatten().tolist()) == set(REFERENCES)


def test_each_optimizer_has_its_own_rate():
    student = build("StudentForceField", SIZES["ultra_tiny"])
    recipe = short(learning_rate=0.003, matrix_learning_rate=0.02)
    rates = {type(o): o.param_groups[0]["lr"] for o in make_optimizers(student, recipe)}
    assert rates == {AdamW: 0.003, Muon: 0.02}


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine():
    fraction = rate_schedule(short(warmup_steps=10), steps=110)
    assert [fraction(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [fraction(step) for step in (10, 60, 110)] == pytest.approx([1.0, 0.5, 0.0])


def test_a_training_shorter_than_its_warm_up_only_rises():
    fraction = rate_schedule(short(warmup_steps=100), steps=5)
    assert [fraction(step) for step in range(5)] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
