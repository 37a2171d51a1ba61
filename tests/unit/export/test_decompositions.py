"""What compilers would translate badly is put in other words."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from mlffd.export.decompositions import DECOMPOSITIONS

aten = torch.ops.aten


@pytest.mark.parametrize(("inner", "expected"), [(1, aten.mul.Tensor), (3, aten.mm.default)])
def test_only_matrix_products_that_sum_nothing_become_products(inner, expected):
    """Of outer products `torch.compile` makes one variant for few atoms, and another for many."""
    first, second = torch.rand(5, inner), torch.rand(inner, 4)

    graph = make_fx(torch.mm, decomposition_table=DECOMPOSITIONS)(first, second)

    assert [n.target for n in graph.graph.nodes if n.op == "call_function"] == [expected]
    torch.testing.assert_close(graph(first, second), first @ second)
