"""A graph of ATen operations becomes TorchScript that says the same, or is refused."""

import operator

import pytest
import torch
from torch.fx import Graph, GraphModule

from mlffd.errors import InputError
from mlffd.export.script_source import script_source

aten = torch.ops.aten


def source_of(build):
    """Source of the graph that a function adds to an input ``x``; it returns the output's node."""
    graph = Graph()
    graph.output((build(graph, graph.placeholder("arg0_1")),))
    return script_source(GraphModule(torch.nn.Module(), graph), ["x"])


def called(target, *arguments, **keywords):
    return source_of(lambda graph, x: graph.call_function(target, (x, *arguments), keywords))


def test_a_whole_method():
    def build(graph, x):
        size = graph.call_function(aten.sym_size.int, (x, 0))
        double = graph.call_function(operator.mul, (2, size))
        parts = graph.call_function(aten.split.Tensor, (x, double))
        return graph.call_function(operator.getitem, (parts, 0))

    assert source_of(build).splitlines() == [
        "def forward(self, x: Tensor) -> Tuple[Tensor]:",
        "    sym_size_int = x.size(0)",
        "    mul = 2 * sym_size_int",
        "    split_tensor = torch.ops.aten.split(x, mul)",
        "    getitem = split_tensor[0]",
        "    return getitem",
    ]


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        (1e-6, "1e-06"),
        (float("-inf"), 'float("-inf")'),
        (True, "True"),
        (None, "None"),
        ([1, -1], "[1, -1]"),
        (torch.float64, "torch.float64"),
        (torch.contiguous_format, "torch.contiguous_format"),
    ],
)
def test_arguments(argument, written):
    assert f"torch.ops.aten.add(x, {written})" in called(aten.add.Tensor, argument)


def test_new_tensors_are_made_where_the_input_is():
    """Wherever the graph was traced: a file may be loaded onto another device."""
    source = called(aten.new_zeros.default, [2], device=torch.device("cpu"))

    assert "new_zeros(x, [2], device=x.device)" in source


def test_what_torchscript_has_no_words_for_is_refused():
    with pytest.raises(InputError, match=r"TorchScript: operation .*floor"):
        called(torch.floor)
    with pytest.raises(InputError, match=r"TorchScript: cannot write 1j of type complex"):
        called(aten.add.Tensor, 1j)
    with pytest.raises(InputError, match="TorchScript: the graph has a call_method node"):
        source_of(lambda graph, x: graph.call_method("floor", (x,)))
