"""The compiled step: what eager torch computes for any batch, and refused where it is not.

Compiling takes minutes. But for one test, the traced graph or the traced function itself stands for
what the compiler makes of it.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed
from training_samples import CELLS, TRAIN, lone_atom, short

from mlffd.distill import compiled_step
from mlffd.distill.batches import LabelledGraphs, TrainingBatch
from mlffd.distill.compiled_step import TOLERANCE, CompiledStep
from mlffd.distill.objective import training_loss
from mlffd.errors import InputError
from mlffd.students import Student, build

RECIPE = short()
SMALLEST = {"hidden_dim": 4, "num_interactions": 1, "num_rbf": 2, "max_z": 8}
CUTOFF = 5.0

#: Clusters of three atoms (even numbers) and four (odd ones), single atoms, one bond, cells.
HYDROGEN = replace(
    lone_atom(1), numbers=[1, 1], positions=[[0, 0, 0], [0, 0, 0.8]], forces=np.zeros((2, 3))
)
GRAPHS = LabelledGraphs([*TRAIN, lone_atom(8), lone_atom(1), HYDROGEN, *CELLS], CUTOFF)
FIRST_ATOM, PAIR, FIRST_CELL = 24, 26, 27


def batch_of(*chosen: int) -> TrainingBatch:
    return GRAPHS.select(np.array(chosen))


def new_student() -> Student:
    torch.manual_seed(1)
    return build("StudentForceField", SMALLEST)


def same(function: Callable, **_: object) -> Callable:
    return function


@pytest.fixture
def untraced(monkeypatch) -> Callable[..., tuple[Student, CompiledStep]]:
    """A function that makes a student and its step, where ``compiler`` is all that happens."""
    monkeypatch.setattr(compiled_step, "make_fx", lambda function, **_: lambda *example: function)

    def make(compiler: Callable = same, example: TrainingBatch | None = None):
        monkeypatch.setattr(torch, "compile", lambda function, **_: compiler(function))
        student = new_student()
        return student, CompiledStep(student, RECIPE, example or batch_of(0, 1, 2))

    return make


def eager(student: Student, batch: TrainingBatch) -> list[Tensor]:
    """Loss and gradients."""
    loss = training_loss(student, batch, RECIPE)
    return [loss.detach(), *torch.autograd.grad(loss, list(student.parameters()))]


def assert_like_eager(student: Student, step: CompiledStep, batch: TrainingBatch) -> None:
    """Loss returned, gradients left behind."""
    student.zero_grad()
    found = [step(batch), *(parameter.grad for parameter in student.parameters())]
    for one, other in zip(found, eager(student, batch), strict=True):
        assert not one.requires_grad
        torch.testing.assert_close(one, other.to(one.dtype), atol=1e-6, rtol=1e-5)


def test_the_traced_graph_holds_for_batches_of_other_sizes_and_for_other_weights(monkeypatch):
    """Neither sizes nor weights are constants of it. One test, since tracing takes seconds."""
    monkeypatch.setattr(torch, "compile", same)
    student = new_student()
    step = CompiledStep(student, RECIPE, batch_of(0, 1, 2))
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
    others: list[Iterable[int]] = [
        [0, 1, 2],
        [5],
        [3, 4],
        [9, 8, 7, 6, 5],
        [FIRST_ATOM, 1],
        [PAIR],
        [FIRST_ATOM, PAIR],
        range(FIRST_CELL),
    ]
    for chosen in others:
        before = [parameter.detach().clone() for parameter in student.parameters()]
        assert_like_eager(student, step, batch_of(*chosen))
        optimizer.step()
        assert any((p != b).any() for p, b in zip(student.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("chosen", "can_take", "is_example"),
    [
        ([0, 1, 2], True, True),
        ([0, FIRST_ATOM], True, True),
        ([0], True, False),
        ([PAIR, FIRST_ATOM], True, False),  # a single edge
        ([FIRST_ATOM, FIRST_ATOM + 1], False, False),
        ([FIRST_CELL, FIRST_CELL + 1], False, False),
    ],
    ids=["molecules", "molecule and atom", "one", "one edge", "atoms", "cells"],
)
def test_batches_that_it_can_take_and_be_made_with(chosen, can_take, is_example):
    assert CompiledStep.can_take(batch_of(*chosen)) is can_take
    assert CompiledStep.is_example(batch_of(*chosen)) is is_example


def spoiled(change: Callable[[list[Tensor]], list[Tensor]]) -> Callable:
    """A compiler whose loss and gradients are changed."""

    def compiler(function: Callable) -> Callable:
        def step(*arguments: object) -> tuple[Tensor, list[Tensor]]:
            loss, gradients = function(*arguments)
            changed = change([loss.clone(), *(gradient.clone() for gradient in gradients)])
            return changed[0], changed[1:]

        return step

    return compiler


def scaled(values: list[Tensor], index: int, factor: float) -> list[Tensor]:
    values[index] = values[index] * factor
    return values


def with_nan(values: list[Tensor], index: int) -> list[Tensor]:
    values[index].view(-1)[-1] = torch.nan
    return values


@pytest.mark.parametrize("index", [0, 1, 3, -2], ids=["loss", "first", "third", "last weight"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda values, index: scaled(values, index, 1.1), r"1\.0e-01"),
        (lambda values, index: scaled(values, index, -1.0), r"2\.0e\+00"),
        (with_nan, "nan"),
    ],
    ids=["a tenth too large", "of the wrong sign", "not a number"],
)
def test_a_graph_that_computes_something_else_is_refused(untraced, fault, index, said):
    with pytest.raises(InputError, match=rf"differs from eager torch by {said}.* without --compi"):
        untraced(spoiled(lambda values: fault(values, index)))


def test_rounding_is_no_difference(untraced):
    untraced(spoiled(lambda values: [value * (1 + 1e-5) for value in values]))


def balanced(student: Student) -> TrainingBatch:
    """As many energies too high as too low, so that the last bias has a gradient of rounding."""
    batch = batch_of(*range(4))
    off = 0.4 * torch.tensor([1.0, -1.0, -1.0, 1.0]) * batch.batch.atom_counts
    return replace(batch, energies=student(batch.batch).energy + off)


def test_sums_that_cancel_are_not_held_against_their_own_rounding(untraced):
    example = balanced(new_student())
    *_, last = eager(new_student(), example)
    assert last.abs().max() < 1e-7
    untraced(spoiled(lambda values: [*values[:-1], values[-1] + 1e-7]), example)
    with pytest.raises(InputError, match="differs from eager torch"):
        untraced(spoiled(lambda values: [*values[:-1], values[-1] + 1e-2]), example)


def test_it_is_compared_again_from_time_to_time(untraced, monkeypatch):
    monkeypatch.setattr(compiled_step, "COMPARE_EVERY", 3)
    factors = [1.0]
    _, step = untraced(spoiled(lambda values: [factors[0] * value for value in values]))
    step(batch_of(3, 4))
    factors[0] = 1 + 2 * TOLERANCE  # as if a graph for another size were wrong
    step(batch_of(5, 6))
    with pytest.raises(InputError, match=r"differs from eager torch by 2\.0e-03"):
        step(batch_of(7, 8))


def test_a_training_that_diverges_is_not_blamed_on_the_compiler(untraced, monkeypatch):
    monkeypatch.setattr(compiled_step, "COMPARE_EVERY", 1)
    student, step = untraced()
    with torch.no_grad():
        next(student.parameters()).fill_(torch.nan)
    assert step(batch_of(0, 1)).isnan()


def test_without_a_compiler_that_is_said(untraced):
    def compiler(function: Callable) -> Callable:
        def step(*_: object) -> None:
            raise BackendCompilerFailed(function, RuntimeError("no C++ compiler\nhint"), None)

        return step

    with pytest.raises(InputError, match=r"^--compile cannot be used here: no C\+\+ compiler$"):
        untraced(compiler)


class Springs(Student):
    """The least that can be trained: hardly anything to compile."""

    max_z, cutoff, revision, honours_cells = 8, CUTOFF, 1, False
    config = property(lambda self: {})  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.stiffness = torch.nn.Parameter(torch.tensor(0.3))

    def atomic_energies(self, numbers, vectors, edge_index, *, mirrored=False):  # noqa: ARG002
        energies = self.stiffness * (vectors**2).sum(dim=1)
        total = vectors.new_zeros(numbers.shape[0]).index_add(0, edge_index[1], energies)
        return total.double()

    @classmethod
    def from_config(cls, config):  # noqa: ARG003
        return cls()

    @classmethod
    def infer_config(cls, weights):  # noqa: ARG003
        return None

    trained_elements = infer_config


@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_torchs_own_compiler_gives_the_same():
    student = Springs()
    step = CompiledStep(student, RECIPE, batch_of(0, 1, 2))
    assert_like_eager(student, step, batch_of(*range(8)))
