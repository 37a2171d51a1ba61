"""Strict comparison of weights with the architecture and config they claim to be.

``load_state_dict(strict=True)`` casts dtypes, accepts shape ``[1]`` for a number, and NaN. Each of
these would change a student without a word, so here each is an error.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mlffd.checkpoints.plain import shown, shown_list
from mlffd.errors import InputError

#: Of the cutoff: how far the radial basis may be from what the cutoff says. Rounding is 1e-7.
RADIAL_BASIS_TOLERANCE = 1e-6


def check_kinds(weights: Mapping[str, Tensor], where: str) -> None:
    """Check that all weights are dense float32 or float64 values on the CPU.

    Raises:
        InputError: one is something else; names it.
    """
    for name, tensor in weights.items():
        dtype = _dtype_name(tensor.dtype)
        if tensor.is_meta:
            kind = "a meta tensor, which has no values"
        elif tensor.is_quantized:
            kind = f"quantized ({dtype})"
        elif tensor.layout != torch.strided or tensor.is_nested:
            kind = "sparse or nested"
        elif tensor.dtype not in (torch.float32, torch.float64):
            kind = dtype
        elif tensor.device.type != "cpu":
            kind = f"on {tensor.device}"
        else:
            continue
        raise InputError(
            f"{where}: {shown(name)} is {kind}, expected dense float32 (or float64) values"
        )


def check_against(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str
) -> bool:
    """Check names, shapes and dtypes against a state dict of the architecture.

    float64 values are accepted for float32 ones if all of these are float64.

    Args:
        weights: which `check_kinds` has passed.
        expected: state dict of a student in float32; may be on the meta device.
        where: the file, for messages.

    Returns:
        Whether the weights are the float64 form of a float32 state dict.

    Raises:
        InputError: a name, shape or dtype differs; says all names that are missing or extra.
    """
    missing, extra = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    if missing or extra:
        parts = [f"missing: {shown_list(missing)}"] if missing else []
        parts += [f"not expected: {shown_list(extra)}"] if extra else []
        raise InputError(f"{where}: names of weights do not fit: {'; '.join(parts)}")
    in_float64 = []
    for name, reference in expected.items():
        tensor = weights[name]
        if tensor.shape != reference.shape:
            raise InputError(
                f"{where}: {name} has shape {list(tensor.shape)}, expected {list(reference.shape)}"
            )
        if tensor.dtype != reference.dtype:
            if reference.dtype == torch.float64:
                raise InputError(
                    f"{where}: {name} is {_dtype_name(tensor.dtype)}, expected float64"
                )
            in_float64.append(name)
    castable = [name for name, reference in expected.items() if reference.dtype == torch.float32]
    if in_float64 and len(in_float64) < len(castable):
        other = next(name for name in castable if name not in in_float64)
        raise InputError(
            f"{where}: {in_float64[0]} is float64 but {other} is float32,"
            " expected one dtype throughout"
        )
    return bool(in_float64)


def count_non_finite(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """How many values are NaN or infinite, by name; only names that have some."""
    counts = {name: int((~torch.isfinite(tensor)).sum()) for name, tensor in weights.items()}
    return {name: count for name, count in counts.items() if count}


def require_finite(weights: Mapping[str, Tensor], where: str) -> None:
    """Check that every value is a number.

    Raises:
        InputError: some are not; names the tensors and how many values.
    """
    if counts := count_non_finite(weights):
        listed = ", ".join(f"{shown(name)} ({n})" for name, n in list(counts.items())[:6])
        raise InputError(
            f"{where}: NaN or infinite values in {len(counts)} of {len(weights)} weights: {listed}"
        )


def check_radial_basis(weights: Mapping[str, Tensor], cutoff: float, where: str) -> None:
    """Check that the Gaussians are where the cutoff puts them.

    They are saved as buffers, so a wrong cutoff in the config would change the function (its
    envelope and its neighbours) and nothing would look wrong.

    Args:
        weights: with ``rbf.centers [R]`` = linspace(0, cutoff, R) and ``rbf.widths [R]`` =
            cutoff / R; an architecture without them has nothing to check.
        cutoff: Å.
        where: the file, for messages.

    Raises:
        InputError: they are elsewhere.
    """
    for name in {"rbf.centers", "rbf.widths"} & set(weights):
        found = weights[name].double()
        count = len(found)
        expected = (
            torch.linspace(0.0, cutoff, count, dtype=torch.float64)
            if name == "rbf.centers"
            else torch.full((count,), cutoff / count, dtype=torch.float64)
        )
        worst = float((found - expected).abs().max())
        if not worst <= RADIAL_BASIS_TOLERANCE * cutoff:  # NaN is wrong too
            raise InputError(
                f"{where}: {name} is up to {worst:.3g} Å away from what cutoff {cutoff} Å says"
            )


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
