"""Equal weights, equal fingerprint; anything else, another one."""

import hashlib
import math
import struct

import pytest
import torch

from mlffd.checkpoints import fingerprint


def test_the_bytes_are_the_documented_ones():
    weights = {"b": torch.tensor(1.5, dtype=torch.float64), "a.é": torch.tensor([[1.0, -2.0]])}
    expected = b"mlffd weights 1\n"
    for header, values in [
        (b'["a.\\u00e9","float32",[1,2]]', struct.pack("<2f", 1.0, -2.0)),
        (b'["b","float64",[]]', struct.pack("<d", 1.5)),
    ]:
        expected += struct.pack("<Q", len(header)) + header
        expected += struct.pack("<Q", len(values)) + values
    assert fingerprint(weights) == "sha256:" + hashlib.sha256(expected).hexdigest()


def test_order_strides_sharing_and_gradients_do_not_matter():
    weights = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(3.0)}
    big = torch.arange(12.0).reshape(2, 6)
    same = {
        "b": big[0, :3],
        "a": torch.nn.Parameter(weights["a"].T.contiguous().T),
    }
    assert not same["a"].is_contiguous()
    assert fingerprint(same) == fingerprint(weights)


@pytest.mark.parametrize(
    "changed",
    [
        {"a": torch.tensor([1.0, 2.0, math.nextafter(3.0, 4.0)], dtype=torch.float64)},
        {"a": torch.tensor([1.0, 2.0, 3.0])},
        {"a": torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)},
        {"a": torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)},
        {"b": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)},
        {"a": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), "b": torch.zeros(0)},
        {},
    ],
    ids=["bit", "dtype", "shape", "order", "name", "extra", "none"],
)
def test_every_change_shows(changed):
    assert fingerprint(changed) != fingerprint({"a": torch.tensor([1.0, 2.0, 3.0]).double()})


def test_same_bytes_in_another_dtype_are_something_else():
    weights = torch.tensor([1.0, 2.0])
    assert fingerprint({"a": weights}) != fingerprint({"a": weights.view(torch.int32)})


def test_sign_of_zero_and_payload_of_nan_are_bits_too():
    assert fingerprint({"a": torch.tensor(0.0)}) != fingerprint({"a": torch.tensor(-0.0)})
    quiet = torch.tensor([0x7FC00000], dtype=torch.int32).view(torch.float32)
    other = torch.tensor([0x7FC00001], dtype=torch.int32).view(torch.float32)
    assert fingerprint({"a": quiet}) == fingerprint({"a": quiet.clone()})
    assert fingerprint({"a": quiet}) != fingerprint({"a": other})


def test_where_one_tensor_ends_and_the_next_begins_matters():
    one = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0])}
    other = {"a": torch.tensor([1.0]), "b": torch.tensor([2.0, 3.0])}
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    "tensor", [torch.ones(2, device="meta"), torch.ones(2).to_sparse(), torch.ones(2).bfloat16()]
)
def test_tensors_without_readable_values_have_none(tensor):
    with pytest.raises(TypeError, match="a: no fingerprint"):
        fingerprint({"a": tensor})
