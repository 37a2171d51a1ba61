"""Faults of runtimes: the right graph and the right weights, run wrongly."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import with_input, with_output
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction

#: Bits of the mantissa that TF32 leaves of the 23 of float32.
_TF32_BITS = 10


class _Float32Potential(EagerPotential):
    """Takes float64, as a reference should, and computes in float32."""

    def __init__(self, healthy: Healthy) -> None:
        super().__init__(healthy.checkpoint.student(), dtype=torch.float32)
        self.dtype = torch.float64

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        narrow = {name: getattr(batch, name).float() for name in ("positions", "shifts", "cells")}
        found = super().__call__(replace(batch, **narrow), stress=stress)
        return replace(found, forces=found.forces.double())


class _Tf32(TorchFunctionMode):
    """Matrix products of numbers whose mantissa is cut off, as on the tensor cores of a GPU."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        if func is torch.nn.functional.linear:
            args = tuple(map(_truncated, args))
        return func(*args, **(kwargs or {}))


def _truncated(value: Tensor | None) -> Tensor | None:
    if value is None:
        return None
    step = 2.0 ** (torch.floor(torch.log2(value.detach().abs().clamp_min(1e-30))) - _TF32_BITS)
    return value + (torch.round(value.detach() / step) * step - value.detach())


@fault(caught_by=["matches_golden"])
def single_precision(healthy: Healthy) -> Iterator[StudentSubject]:
    """The reference is computed in float32.

    A default dtype that some library sets for the whole process.
    """
    subject = healthy.student()
    subject.potential = _Float32Potential(healthy)
    yield subject


@fault(caught_by=["artifact_matches"])
def tf32(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """Matrix products have ten bits.

    TF32 is switched on for the whole process, and a runtime in float32 is no longer one.
    """
    subject = healthy.artifact()
    inner = subject.potential

    class Truncating(EagerPotential):
        def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
            with _Tf32():
                return inner(batch, stress=stress)

    subject.potential = Truncating(healthy.checkpoint.student(), dtype=torch.float32)
    yield subject


@fault(caught_by=["artifact_loads"])
def another_device(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The file runs on the CPU where a GPU was asked for.

    A runtime that falls back without a word: everything passes, a hundred times slower.
    """
    subject = healthy.artifact()
    subject.potential  # noqa: B018 - opened before a device is asked for that is not there
    subject.device = "cuda"
    yield subject


@fault(caught_by=["artifact_matches"], seen_in="ACEsuit/mace#1298")
def accelerated_path(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """An accelerated kernel gives another energy.

    A fused kernel for a case that its author did not have; forces are right.
    """
    yield with_output(
        healthy.artifact(),
        lambda batch, p: replace(p, energy=p.energy + 5e-5 * batch.atom_counts),
    )


@fault(caught_by=["artifact_matches"], sizes=[1e-8, 1e-6, 1e-5, 1e-3], unit="eV/Å", limit=1e-3)
def results_that_do_not_repeat(healthy: Healthy, size: float) -> Iterator[ArtifactSubject]:
    """The same input gives another result each time.

    Atomic additions on a GPU, or memory that is read before it is written.
    """
    generator = torch.Generator().manual_seed(0)

    def noisy(_: Batch, prediction: Prediction) -> Prediction:
        noise = torch.randn(prediction.forces.shape, generator=generator)
        return replace(prediction, forces=prediction.forces + size * noise)

    yield with_output(healthy.artifact(), noisy)


@fault(caught_by=["artifact_matches"])
def state_left_over(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """Something of the batch before is left in a buffer.

    Buffers that are kept for speed and not cleared.
    """
    last = [0]

    def leaking(batch: Batch, prediction: Prediction) -> Prediction:
        left_over, last[0] = 1e-3 * last[0], len(batch.numbers)
        return replace(prediction, energy=prediction.energy + left_over)

    yield with_output(healthy.artifact(), leaking)


@fault(caught_by=["artifact_matches"])
def threads_share_a_buffer(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """Two threads that use the potential at once get each other's results.

    Input buffers that belong to the model instead of the call.
    """
    shared: dict[str, Batch] = {}
    main = threading.get_ident()

    def racing(batch: Batch) -> Batch:
        shared["batch"] = batch
        if threading.get_ident() != main:
            time.sleep(0.002)
        return shared["batch"]

    yield with_input(healthy.artifact(), racing)
