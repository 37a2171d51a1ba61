"""What weights become in fewer bits."""

import pytest
import torch

from mlffd.checkpoints.rounding import INT8, ROUNDINGS, is_rounded, packed, rounded, unpacked
from mlffd.errors import InputError


@pytest.fixture
def matrix():
    return (
        torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
        * torch.logspace(-3, 3, 5)[:, None]
    )


def test_int8_is_within_half_a_step_of_the_scale_of_its_row(matrix):
    stored, scales = packed(matrix, INT8)
    assert (stored.dtype, scales.dtype, scales.shape) == (torch.int8, torch.float32, (5,))
    assert torch.equal(stored.abs().amax(dim=1), torch.full((5,), 127, dtype=torch.int8))
    error = (unpacked(stored, scales) - matrix).abs().amax(dim=1)
    assert (error <= 0.501 * scales).all()
    assert (error > 0.2 * scales).all()  # it is not exact either


def test_a_row_of_zeros_and_one_of_the_smallest_numbers_stay_finite(matrix):
    matrix[1], matrix[2] = 0.0, 1e-45
    stored, scales = packed(matrix, INT8)
    assert torch.equal(unpacked(stored, scales)[1], torch.zeros(40))
    assert scales[1] == 1.0  # what zero is divided by
    assert torch.isfinite(unpacked(stored, scales)).all()
    assert (unpacked(stored, scales)[2] - matrix[2]).abs().max() <= 1e-44


@pytest.mark.parametrize(("precision", "bits"), [("fp16", 11), ("bf16", 8)])
def test_halves_keep_so_many_bits(matrix, precision, bits):
    stored, scales = packed(matrix, precision)
    assert scales is None
    error = ((unpacked(stored, None) - matrix) / matrix).abs().max()
    assert 2.0 ** -(bits + 2) < error <= 2.0**-bits


def test_what_is_too_large_for_fp16_is_refused_by_name(matrix):
    matrix[0, 0] = 7e4
    with pytest.raises(InputError, match=r"^w: a weight of 7e\+04 does not fit fp16"):
        rounded({"w": matrix}, "fp16")
    assert torch.isfinite(rounded({"w": matrix}, "bf16")["w"]).all()


@pytest.mark.parametrize("precision", ROUNDINGS)
def test_only_matrices_of_long_rows_in_float32_are_rounded(precision):
    kept = {
        "vector": torch.rand(64),
        "row": torch.rand(1, 64),
        "short rows": torch.rand(64, 31),
        "cube": torch.rand(2, 40, 40),
        "reference_energies": torch.rand(101, dtype=torch.float64) * 1e4,
    }
    matrix = torch.rand(2, 32)
    result = rounded({**kept, "matrix": matrix}, precision)
    assert all(result[name] is weight for name, weight in kept.items())
    assert is_rounded(matrix)
    assert not torch.equal(result["matrix"], matrix)


@pytest.mark.parametrize("precision", ROUNDINGS)
def test_rounding_again_changes_nothing_that_matters(matrix, precision):
    once = rounded({"w": matrix}, precision)["w"]
    assert torch.allclose(rounded({"w": once}, precision)["w"], once, rtol=1e-6, atol=0)
