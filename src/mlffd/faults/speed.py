"""Faults of speed: the same predictions, at a higher price."""

import re
from collections.abc import Callable, Iterator
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from mlffd.checkpoints import Checkpoint
from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import THROUGHPUT, fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.slowing import Slowed, slowed
from mlffd.structures import batch, neighbours
from mlffd.structures.structure import Structure
from mlffd.students import Student
from mlffd.students.interaction import Edges, Interaction


def _in_every_layer(
    healthy: Healthy, extra: Callable[[Tensor, Edges], Tensor]
) -> Iterator[StudentSubject]:
    """Each layer does something more with its scalars, which leaves them what they are."""
    original = Interaction.forward

    def forward(
        self: Interaction, scalars: Tensor, vectors: Tensor | None, edges: Edges
    ) -> tuple[Tensor, Tensor]:
        return original(self, extra(scalars, edges), vectors, edges)

    with patch.object(Interaction, "forward", forward):
        yield healthy.student()


@fault(caught_by=["counters"])
def one_more_kernel(healthy: Healthy) -> Iterator[StudentSubject]:
    """Each layer launches one kernel more.

    A copy that a refactoring left behind; on a CPU no clock sees it.
    """
    yield from _in_every_layer(healthy, lambda scalars, edges: scalars.clone())


@fault(caught_by=["counters"])
def wait_in_every_layer(healthy: Healthy) -> Iterator[StudentSubject]:
    """The host waits for the GPU once in each layer.

    A look at a value, for an assertion or a log; without a GPU it costs nothing.
    """
    yield from _in_every_layer(
        healthy, lambda scalars, _: scalars if scalars[0, 0].item() < torch.inf else 0.0 * scalars
    )


@fault(caught_by=["counters"])
def memory_reserved_for_nothing(healthy: Healthy) -> Iterator[StudentSubject]:
    """Each layer allocates what it does not use.

    An output buffer that is made, and then replaced.
    """

    def reserve(scalars: Tensor, edges: Edges) -> Tensor:
        torch.empty_like(edges.basis)
        return scalars

    yield from _in_every_layer(healthy, reserve)


@fault(caught_by=["counters"])
def memory_leak(healthy: Healthy) -> Iterator[StudentSubject]:
    """Each call keeps a tensor for ever.

    A list of losses or of features for a plot; the process ends hours later.
    """
    kept: list[Tensor] = []

    def keep(scalars: Tensor, edges: Edges) -> Tensor:
        kept.append(edges.basis.detach())
        return scalars

    yield from _in_every_layer(healthy, keep)


@fault(caught_by=["counters"])
def larger_weights(healthy: Healthy) -> Iterator[StudentSubject]:
    """The student carries a table that it does not need.

    A buffer of a megabyte, cached in the module and saved with it.
    """
    original = Checkpoint.student

    def heavier(self: Checkpoint, *, dtype: torch.dtype = torch.float32) -> Student:
        student = original(self, dtype=dtype)
        student.register_buffer("table", torch.zeros(2**18))
        return student

    with patch.object(Checkpoint, "student", heavier):
        yield healthy.student()


@fault(caught_by=["counters"])
def every_pair_is_a_neighbour(healthy: Healthy) -> Iterator[StudentSubject]:
    """The neighbour list holds every pair.

    Quadratic in the number of atoms; beyond the cutoff messages are zero, so that nothing tells but
    the cost.
    """

    def every_pair(
        structure: Structure, cutoff: float, *, periodic: bool = True
    ) -> neighbours.Neighbours:
        if structure.is_periodic:
            return neighbours.find_neighbours(structure, cutoff, periodic=periodic)
        pairs = np.argwhere(~np.eye(len(structure), dtype=bool))
        return neighbours.Neighbours(pairs.T[::-1].copy(), np.zeros((len(pairs), 3)))

    with patch.object(batch, "find_neighbours", every_pair):
        yield healthy.student()


@fault(caught_by=[THROUGHPUT], sizes=[0.05, 0.10, 0.20], unit="relative", limit=0.10)
def slower(healthy: Healthy, size: float) -> Iterator[Slowed]:
    """Everything takes longer.

    A library that was built without an instruction set, a debugging option, a Python loop: nothing
    that could be counted.
    """

    def wait(source: str) -> str:
        # In proportion to what the call took, so that it is as slow on every machine.
        return source.replace(
            "return self.student(batch, stress=stress)",
            "import time\n"
            "        began = time.perf_counter()\n"
            "        found = self.student(batch, stress=stress)\n"
            f"        end = began + {1 + size} * (time.perf_counter() - began)\n"
            "        while time.perf_counter() < end:\n"
            "            pass\n"
            "        return found",
        )

    yield slowed(healthy, "eager/fp32/cpu/batch1", {"runtimes/eager.py": wait})


@fault(caught_by=[THROUGHPUT], seen_in="orbital-materials/orb-models#165")
def compilation_does_nothing(healthy: Healthy) -> Iterator[Slowed]:
    """The compiled student is not compiled.

    An option that is accepted and forgotten: every prediction is right, and as slow as before.
    """

    def without(source: str) -> str:
        return re.sub(r"torch\.compile\((\w+),[^\n]*\)\n", r"\1\n", source)

    yield slowed(healthy, "compiled/fp32/cpu/batch1", {"runtimes/compiled.py": without})
