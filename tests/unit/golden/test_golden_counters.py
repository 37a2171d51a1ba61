import pytest

from mlffd.golden.counters import Difference, differences

COUNTERS = {"batch1": {"kernels": 227, "flops": 0}, "graph_nodes": {"aten.add": 2, "aten.mul": 1}}


def test_the_same_counters_do_not_differ():
    assert differences(COUNTERS, COUNTERS) == []


@pytest.mark.parametrize("after", [226, 228])
def test_more_and_less_are_differences(after):
    found = differences(COUNTERS, {**COUNTERS, "batch1": {"kernels": after, "flops": 0}})

    assert found == [Difference("batch1", "kernels", 227, after)]
    assert str(found[0]) == f"batch1: kernels: 227 -> {after} ({after - 227:+})"


def test_zero_is_not_the_same_as_not_counted():
    found = differences(COUNTERS, {**COUNTERS, "batch1": {"kernels": 227}})

    assert [str(d) for d in found] == ["batch1: flops: 0 -> none"]


@pytest.mark.parametrize("gone", [{}, None], ids=["empty", "absent"])
def test_a_place_that_is_not_counted_at_all_is_one_difference(gone):
    after = {"batch1": COUNTERS["batch1"], **({} if gone is None else {"graph_nodes": gone})}

    assert [str(d) for d in differences(COUNTERS, after)] == ["graph_nodes: counters: 2 -> none"]
    assert [str(d) for d in differences(after, COUNTERS)] == ["graph_nodes: counters: none -> 2"]


def test_places_after_one_that_is_gone_are_compared_as_well():
    after = {"graph_nodes": {"aten.add": 3, "aten.mul": 1}}

    assert [str(d) for d in differences(COUNTERS, after)] == [
        "batch1: counters: 2 -> none",
        "graph_nodes: aten.add: 2 -> 3 (+1)",
    ]
