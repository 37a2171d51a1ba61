"""Weights in fewer bits, for files: what is rounded, how, and what comes back.

Matrices are rounded, row by row where there is a scale: a row is what one output of a layer, or one
element, is made of. Everything else stays as it is: vectors and small matrices, which are next to
nothing of a file, and what is float64, such as reference energies of thousands of eV. Rows of fewer
than 32 numbers gain little, and the first layers of the filters, which have them, are those that
rounding hurts most.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mlffd.errors import InputError

#: Precisions of weights only: computed with is float32.
HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
INT8 = "int8-weights"
ROUNDINGS = (*HALVES, INT8)

_SHORTEST_ROW = 32
_LARGEST = 127


def is_rounded(weight: Tensor) -> bool:
    """Whether a weight is one of those that are rounded."""
    return (
        weight.dtype == torch.float32
        and weight.dim() == 2
        and weight.shape[0] > 1
        and weight.shape[1] >= _SHORTEST_ROW
    )


def packed(matrix: Tensor, precision: str) -> tuple[Tensor, Tensor | None]:
    """A matrix in fewer bits, and for int8 the scale of each row.

    The scales are symmetric, and such that the largest number of a row becomes 127.

    Args:
        matrix: float32 ``[R, C]``, finite.
        precision: one of `ROUNDINGS`.

    Returns:
        ``[R, C]`` in the dtype of the precision, and float32 ``[R]`` or None.

    Raises:
        InputError: a number is too large for the precision.
    """
    if precision != INT8:
        half = matrix.to(HALVES[precision])
        if not torch.isfinite(half).all():
            raise InputError(
                f"a weight of {float(matrix.abs().max()):.3g} does not fit {precision}"
            )
        return half, None
    scales = matrix.abs().amax(dim=1) / _LARGEST
    scales[scales == 0] = 1.0
    steps = torch.round(matrix / scales[:, None])
    return steps.clamp(-_LARGEST, _LARGEST).to(torch.int8), scales


def unpacked(matrix: Tensor, scales: Tensor | None) -> Tensor:
    """The matrix in float32, the same bits on every machine: one product per number."""
    plain = matrix.to(torch.float32)
    return plain if scales is None else plain * scales[:, None]


def rounded(weights: Mapping[str, Tensor], precision: str) -> dict[str, Tensor]:
    """Weights as they are after they were stored in fewer bits, in the dtypes that they had.

    Args:
        weights: finite; by name.
        precision: one of `ROUNDINGS`.

    Raises:
        InputError: a number is too large for the precision; names the weight.
    """
    result = dict(weights)
    for name, weight in weights.items():
        if is_rounded(weight):
            try:
                result[name] = unpacked(*packed(weight, precision))
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
    return result
