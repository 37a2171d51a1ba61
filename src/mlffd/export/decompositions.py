"""Operations that exporters are not to see, in terms of those that they translate well."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions

_aten = torch.ops.aten


def _slice_backward(
    gradient: Tensor, sizes: list[int], dim: int, start: int, _end: int, step: int
) -> Tensor:
    """Zeros around the gradient of a slice: exporters would write a scatter into zeros."""
    if step != 1:
        raise NotImplementedError(f"the gradient of a slice of step {step}")
    size = sizes[dim]
    before, after = list(gradient.shape), list(gradient.shape)
    before[dim], after[dim] = start, size - start - gradient.shape[dim]
    return torch.cat([gradient.new_zeros(before), gradient, gradient.new_zeros(after)], dim=dim)


def _mm(first: Tensor, second: Tensor) -> Tensor:
    """An outer product as a product: of the former, compilers make a variant for small sizes."""
    return first * second if second.shape[0] == 1 else NotImplemented


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    **get_decompositions([_aten.silu_backward]),
    _aten.mm.default: _mm,
    _aten.slice_backward.default: _slice_backward,
}
