"""Averages of weights: what they converge to, and what they leave alone."""

import pytest
import torch

from mlffd.distill.averaging import WeightAverage
from mlffd.distill.recipe import SIZES
from mlffd.students import build


def constant(value: float):
    student = build("StudentForceField", SIZES["ultra_tiny"])
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.fill_(value)
    return student


def first(student) -> float:
    return float(student.embedding.weight[0, 0].detach())


def test_the_first_updates_count_most():
    average = WeightAverage(constant(0.0), decay=0.99)
    average.update(constant(1.0), 0)
    assert first(average.student) == pytest.approx(0.9)
    average.update(constant(2.0), 1)
    assert first(average.student) == pytest.approx(0.9 + (1 - 2 / 11) * 1.1)


def test_later_updates_move_it_by_the_rest_of_the_decay():
    average = WeightAverage(constant(0.0), decay=0.99)
    average.update(constant(1.0), 10_000)
    assert first(average.student) == pytest.approx(0.01)


def test_the_student_in_training_is_not_touched():
    student = constant(1.0)
    average = WeightAverage(student, decay=0.9)
    average.update(constant(3.0), 0)
    assert first(student) == 1.0
    assert all(p.requires_grad for p in student.parameters())
    assert not any(p.requires_grad for p in average.student.parameters())


def test_weights_that_never_move_stay_bit_for_bit():
    student = build("StudentForceField", SIZES["ultra_tiny"])
    average = WeightAverage(student, decay=0.99)
    for updates in range(20):
        average.update(student, updates)
    assert torch.equal(average.student.embedding.weight, student.embedding.weight)
