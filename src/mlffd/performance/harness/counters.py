"""Counts that repeat exactly: what a call dispatches, computes and allocates, and where it waits.

None of them looks at a clock, so on a busy machine they are the same as on an idle one, and one
more operation is one more. They see what goes through PyTorch's dispatcher: all of eager PyTorch
and of TorchScript. While it is watched, PyTorch runs what `torch.compile` has compiled operator by
operator, so the counters are those of the graph that was compiled; inside of other runtimes and
AOTInductor's machine code they see nothing.
"""

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

#: Operators that only reserve memory: nothing runs.
_RESERVING = frozenset(
    ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided")
)

#: What PyTorch itself says of operators whose result, or its size, depends on values.
_READING = frozenset((torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape))

#: Operators that read values only if they are indexed by a mask.
_INDEXING = frozenset(("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"))

#: Methods that give values to the host: of a tensor that is there already, nothing is dispatched.
_HANDING_OVER = frozenset(("__array__", "cpu", "numpy", "tolist"))


def count(call: Callable[[], Any]) -> dict[str, int]:
    """The counters of a call, which is made several times.

    Returns:
        ``operators``: operators dispatched.
        ``kernels``: those of them that compute or copy, rather than make a view or reserve memory;
        on a GPU, what it was really told to do: kernels, copies and fills.
        ``flops``: of matrix products, by PyTorch's own formulas; others count nothing there.
        ``allocated_bytes``: of all tensors that operators made, results included.
        ``peak_bytes``: the most of those that were there at one time.
        ``retained_bytes``: of those that are still there afterwards: a call that keeps something.
        ``synchronizations``: where the host needs a value, and would have to wait for a GPU.
    """
    call()  # what is made on first use, and kept, is no part of a call
    with _without_garbage_collection():
        with FlopCounterMode(display=False) as flops:
            call()
        with _HandOvers() as hand_overs, _Operators() as seen:
            call()
    return {
        "operators": seen.dispatched.total(),
        "kernels": _launches(call) if seen.on_gpu else seen.kernels,
        "flops": flops.get_total_flops(),
        "allocated_bytes": seen.allocated,
        "peak_bytes": seen.peak,
        "retained_bytes": seen.alive,
        "synchronizations": seen.reads + hand_overs.count,
    }


def operators(call: Callable[[], Any]) -> dict[str, int]:
    """How often a call dispatches which operator: says what is behind a difference of `count`."""
    call()
    with _Operators() as seen:
        call()
    return dict(sorted(seen.dispatched.items()))


class _Operators(TorchDispatchMode):
    """Looks at every operator with its arguments and results.

    Attributes:
        dispatched: how often, by name.
        kernels: how many of them compute or copy.
        allocated: bytes of new storages.
        peak: most bytes of those that lived at one time.
        alive: bytes of those that live now.
        reads: how many need a value on the host.
        on_gpu: whether a tensor was there.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dispatched: Counter[str] = Counter()
        self.kernels = self.allocated = self.peak = self.alive = self.reads = 0
        self.on_gpu = False
        self._watched: dict[int, weakref.ref[UntypedStorage]] = {}

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the operator returns
        """Run the operator, and count."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        taken, made = list(_tensors((args, kwargs))), list(_tensors(result))
        self.dispatched[str(func)] += 1
        self.on_gpu |= any(tensor.is_cuda for tensor in (*taken, *made))
        self.reads += _reads_values(func, taken, made, kwargs)
        known = {tensor.untyped_storage()._cdata for tensor in taken}
        new = {s._cdata: s for t in made if (s := t.untyped_storage())._cdata not in known}
        for storage in new.values():
            self._watch(storage)
        is_view = bool(made) and not new and not func._schema.is_mutable
        if not is_view and func._opname not in _RESERVING:
            self.kernels += 1
        return result

    def _watch(self, storage: UntypedStorage) -> None:
        size, key = storage.nbytes(), len(self._watched)
        self.allocated += size
        self.alive += size
        self.peak = max(self.peak, self.alive)

        def gone(_: object) -> None:
            self.alive -= size

        self._watched[key] = weakref.ref(storage, gone)


class _HandOvers(TorchFunctionMode):
    """Counts methods that give the values of a tensor to the host without any operator."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Run the function, and count."""
        # Of one on a GPU, an operator makes the copy, and is counted as such.
        if getattr(func, "__name__", "") in _HANDING_OVER and args[0].device.type == "cpu":
            self.count += 1
        return func(*args, **(kwargs or {}))


def _tensors(values: Any) -> Iterator[Tensor]:  # noqa: ANN401 - arguments of any operator
    """All tensors in arguments or results, also those in lists."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _reads_values(
    func: OpOverload, taken: list[Tensor], made: list[Tensor], kwargs: Mapping[str, Any]
) -> bool:
    if func._opname in _INDEXING:
        return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in taken[1:])
    # A copy to or from a device is waited for, unless it is asked for otherwise.
    crosses = len({tensor.device for tensor in (*taken, *made) if tensor.dim()}) > 1
    return bool(_READING & set(func.tags)) or (crosses and not kwargs.get("non_blocking"))


def _launches(call: Callable[[], Any]) -> int:
    """What a GPU was told to do during a call: kernels, copies and fills."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        call()
        torch.cuda.synchronize()
    return sum(event.device_type.name == "CUDA" for event in found.events())


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """It frees tensors that are in cycles at a time that depends on what ran before."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
