"""A training step as one compiled graph: on a CPU about twice as fast as eager torch.

`torch.compile` cannot differentiate twice, which a loss on forces needs. So energies, forces, loss
and its gradient are traced into one graph of plain operations, and that is compiled as if it were
inference (PyTorch's `make_fx`; NequIP 0.7 and later do the same, arXiv:2504.16068). Compilers make
mistakes: compiling only the energies and forces of this very graph, and leaving the loss to
autograd, gave forces wrong by 10% with torch 2.13, silently. Therefore the graph is held against
eager torch before it is used, and from time to time.

Molecules with neighbours only: cells are few, and their graph takes minutes to compile.
"""

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor, nn
from torch._dynamo.exc import BackendCompilerFailed
from torch.func import functional_call
from torch.fx.experimental import _config as fx_config
from torch.fx.experimental.proxy_tensor import make_fx

from mlffd.distill.batches import TrainingBatch
from mlffd.distill.objective import training_loss
from mlffd.distill.recipe import Recipe
from mlffd.errors import InputError
from mlffd.structures.batch import Batch
from mlffd.students import Student

#: Relative to the largest entry of a gradient: float32 sums in another order differ by 1e-6.
TOLERANCE = 1e-3

#: Of the largest entry of all gradients.
SMALL = 1e-2

#: Calls.
COMPARE_EVERY = 500

Step = Callable[..., tuple[Tensor, list[Tensor]]]

_TENSORS = [field.name for field in fields(Batch) if field.name != "half_list"]


class CompiledStep:
    """Loss and gradients of a student for batches of molecules.

    Args:
        student: on the CPU or on a GPU; its buffers must not change any more.
        recipe: says what the loss is.
        example: that `is_example` accepts. The graph is made and checked with this one, not with
            whatever comes first, so that a training that is taken up compiles the same.

    Raises:
        InputError: there is no compiler, or the graph does not compute what eager torch does.
    """

    def __init__(self, student: Student, recipe: Recipe, example: TrainingBatch) -> None:
        self._parameters = list(student.parameters())
        self._loss = _Loss(student, recipe)
        self._calls = 0
        # Sizes that are equal by chance in the example are not equal in every batch.
        with fx_config.patch(use_duck_shape=False):  # type: ignore[attr-defined]
            traced = make_fx(self._loss.step, tracing_mode="symbolic", _allow_non_fake_inputs=True)(
                self._values(), *_tensors(example)
            )
            self._step: Step = torch.compile(traced, dynamic=True)
            try:
                self._compare(example)
            except BackendCompilerFailed as error:
                reason = str(error.inner_exception).partition("\n")[0]
                raise InputError(f"--compile cannot be used here: {reason}") from error

    @staticmethod
    def can_take(batch: TrainingBatch) -> bool:
        """Whether this is a batch of molecules with any neighbours."""
        return not batch.periodic and batch.batch.edge_index.shape[1] > 0

    @staticmethod
    def is_example(batch: TrainingBatch) -> bool:
        """Whether a graph made with this batch holds for all others.

        A size of one would be taken for a constant: so several structures and several edges.
        """
        several = len(batch.batch) > 1 and batch.batch.edge_index.shape[1] > 1
        return not batch.periodic and several

    def __call__(self, batch: TrainingBatch) -> Tensor:
        """The loss; the gradients are left in ``grad`` of the parameters.

        Args:
            batch: that `can_take` accepts.

        Raises:
            InputError: see the class; the compiler may make new graphs for batches of other sizes,
                so the comparison is repeated.
        """
        loss, gradients = self._run(batch)
        self._calls += 1
        if self._calls % COMPARE_EVERY == 0:
            self._compare(batch)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    def _compare(self, example: TrainingBatch) -> None:
        loss, gradients = self._run(example)
        expected_loss, expected = self._loss.step(self._values(), *_tensors(example))
        if not all(torch.isfinite(values).all() for values in [expected_loss, *expected]):
            return  # training has diverged, which is told at the end of the epoch
        differences = [_difference([loss], [expected_loss]), _difference(gradients, expected)]
        worst = float(torch.stack(differences).max())  # NaN if one is, unlike Python's max
        if not worst <= TOLERANCE:
            raise InputError(
                f"the compiled training step differs from eager torch by {worst:.1e} of the"
                f" largest entry, expected {TOLERANCE} at most: train without --compile"
            )

    def _run(self, batch: TrainingBatch) -> tuple[Tensor, list[Tensor]]:
        with torch.no_grad():  # the graph holds the gradient already
            return self._step(self._values(), *_tensors(batch))

    def _values(self) -> list[Tensor]:
        return [parameter.detach() for parameter in self._parameters]


class _Loss(nn.Module):
    """The loss as a function of parameters and plain tensors, which is what can be traced."""

    def __init__(self, student: Student, recipe: Recipe) -> None:
        super().__init__()
        self.student = student
        self._recipe = recipe
        self._names = [f"student.{name}" for name, _ in student.named_parameters()]

    def forward(self, *tensors: Tensor) -> Tensor:
        count = len(_TENSORS)
        batch = Batch(**dict(zip(_TENSORS, tensors[:count], strict=True)), half_list=True)
        energies, forces = tensors[count:]
        labelled = TrainingBatch(batch, energies, forces, stresses=None)
        return training_loss(self.student, labelled, self._recipe)

    def step(self, values: list[Tensor], *tensors: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Loss and its gradient with respect to the values of the parameters."""
        leaves = [value.detach().requires_grad_() for value in values]
        with torch.enable_grad():
            loss = functional_call(self, dict(zip(self._names, leaves, strict=True)), tensors)
            gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        return loss.detach(), list(gradients)


def _difference(found: list[Tensor], expected: list[Tensor]) -> Tensor:
    """The largest difference of two entries, relative to the largest entry of the same tensor.

    Where a sum cancels, only rounding is left: of the last bias, when as many energies are too
    high as are too low. So nothing counts as smaller than `SMALL` of the largest of all entries.
    """
    sizes = torch.stack([values.abs().max().double() for values in expected])
    scales = torch.maximum(sizes, SMALL * sizes.max()) + torch.finfo(torch.float32).tiny
    errors = [(a - b).abs().max().double() for a, b in zip(found, expected, strict=True)]
    return (torch.stack(errors) / scales).max()


def _tensors(labelled: TrainingBatch) -> list[Tensor]:
    tensors = [getattr(labelled.batch, name) for name in _TENSORS]
    return [*tensors, labelled.energies, labelled.forces]
