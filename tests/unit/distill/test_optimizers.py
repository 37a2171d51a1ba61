"""Optimizers cover all parameters; the learning rate rises, then falls to nothing."""

import pytest
from training_samples import short

from mlffd.distill.optimizers import make_optimizers, rate_schedule
from mlffd.distill.recipe import SIZES
from mlffd.students import build


def test_every_parameter_belongs_to_one_optimizer():
    student = build("StudentForceField", SIZES["tiny"])
    optimizers = make_optimizers(student, short())
    held = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in student.parameters())


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine():
    fraction = rate_schedule(short(warmup_steps=10), steps=110)
    assert [fraction(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [fraction(step) for step in (10, 60, 110)] == pytest.approx([1.0, 0.5, 0.0])


def test_a_training_shorter_than_its_warm_up_only_rises():
    fraction = rate_schedule(short(warmup_steps=100), steps=5)
    assert [fraction(step) for step in range(5)] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
