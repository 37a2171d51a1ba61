import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mlffd.performance import harness
from mlffd.performance.harness.counters import count, operators
from mlffd.performance.harness.workloads import prepare_potential
from mlffd.runtimes.loading import load_potential

N = 1000
FOUR = 4 * N  # bytes of N numbers in float32


@pytest.fixture(scope="module")
def values():
    return torch.linspace(-1.0, 1.0, N)


def counters(call, **expected):
    """Those that are expected; the others are not looked at."""
    found = count(call)
    assert all(type(number) is int for number in found.values())
    return {name: found[name] for name in expected}


@pytest.fixture(scope="module")
def student(root):
    path = root / "golden" / "checkpoints" / "ultra_tiny.pt"
    return {
        dtype: prepare_potential(load_potential(path, dtype=dtype), "batch2")
        for dtype in (torch.float32, torch.float64)
    }


# --- what is counted


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(
            lambda x: x * 2,
            {"operators": 1, "kernels": 1, "allocated_bytes": FOUR, "peak_bytes": FOUR},
            id="an operator",
        ),
        pytest.param(
            lambda x: x.view(10, 100).t()[1:, None].detach(),
            {"operators": 5, "kernels": 0, "allocated_bytes": 0, "peak_bytes": 0},
            id="views",
        ),
        pytest.param(
            torch.empty_like,
            {"operators": 1, "kernels": 0, "allocated_bytes": FOUR},
            id="memory that nothing is written to",
        ),
        pytest.param(
            lambda x: (x * 2).add_(1),
            {"operators": 2, "kernels": 2, "allocated_bytes": FOUR, "peak_bytes": FOUR},
            id="in place",
        ),
        pytest.param(
            lambda x: x * 2 * 2 * 2,
            {"kernels": 3, "allocated_bytes": 3 * FOUR, "peak_bytes": 2 * FOUR},
            id="memory that is given back",
        ),
        pytest.param(
            lambda x: [x * 2, x * 2, x * 2],
            {"kernels": 3, "allocated_bytes": 3 * FOUR, "peak_bytes": 3 * FOUR},
            id="memory that is kept",
        ),
        pytest.param(
            lambda x: torch.cat([x, x]),
            {"operators": 1, "kernels": 1, "allocated_bytes": 2 * FOUR},
            id="a list of tensors",
        ),
        pytest.param(
            lambda x: x.view(10, 100) @ x.view(100, 10),
            {"flops": 2 * 10 * 100 * 10, "kernels": 1, "allocated_bytes": 4 * 10 * 10},
            id="a matrix product",
        ),
        pytest.param(
            lambda x: x.double(), {"kernels": 1, "allocated_bytes": 2 * FOUR}, id="another dtype"
        ),
    ],
)
def test_operators_kernels_and_memory(values, call, expected):
    assert counters(lambda: call(values), **expected) == expected


def test_a_gradient_counts_and_what_it_keeps_is_memory(values):
    def call():
        leaf = values.clone().requires_grad_()
        return torch.autograd.grad(leaf.sin().cos().sum(), leaf)

    found = count(call)

    assert found["kernels"] > 6
    assert 3 * FOUR < found["peak_bytes"] < found["allocated_bytes"]


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x[0].item(),
        lambda x: float(x[0]),
        lambda x: bool(x[0] > 0),
        torch.nonzero,
        lambda x: x[x > 0],
        lambda x: x.clone().index_put_((x > 0,), x[:500]),
        lambda x: torch.masked_select(x, x > 0),
        torch.unique,
        lambda x: torch.equal(x, x),
        lambda x: torch.repeat_interleave(x.long() + 2),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        np.asarray,
        lambda x: x.to("meta"),
    ],
    ids=[
        *("item", "float", "bool", "nonzero", "mask", "writing to a mask", "masked select"),
        *("unique", "equal", "repeat", "tolist", "cpu", "numpy", "asarray", "another device"),
    ],
)
def test_the_host_waits(values, wait):
    assert count(lambda: wait(values))["synchronizations"] == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x[torch.arange(3)],
        lambda x: torch.where(x > 0, x, 0.0),
        lambda x: torch.repeat_interleave(x, 2),
        lambda x: x.shape[0] + len(x) + x.stride(0),
        lambda x: x.to("meta", non_blocking=True),
    ],
    ids=["an index", "where", "a known repeat", "sizes", "a copy that is not waited for"],
)
def test_the_host_does_not_wait(values, call):
    assert count(lambda: call(values))["synchronizations"] == 0


def test_operators_have_names(values):
    def call():
        return torch.add(values, values).sin() + 1

    assert operators(call) == {"aten.add.Tensor": 2, "aten.sin.default": 1}


def test_what_is_made_once_and_kept_is_no_part_of_a_call(values):
    kept = []

    def call():
        if not kept:
            kept.append(values.exp())
        return kept[0] * 2

    assert count(call)["operators"] == 1


# --- the same numbers, always


def test_a_student_is_counted_alike_by_any_number_of_threads(student):
    for prepared in student.values():
        alone = count(prepared.call)
        torch.set_num_threads(2)
        try:
            assert count(prepared.call) == alone
        finally:
            torch.set_num_threads(1)
        assert count(prepared.call) == alone
        assert alone["synchronizations"] == 0
        assert alone["flops"] > 0


def test_a_student_costs_twice_the_memory_in_float64(student):
    single, double = (count(student[dtype].call) for dtype in (torch.float32, torch.float64))

    assert single["flops"] == double["flops"]
    # Energies are in float64 either way.
    assert double["allocated_bytes"] == pytest.approx(2 * single["allocated_bytes"], rel=0.01)


def test_a_student_is_counted_alike_by_a_worker(student, root):
    """With more threads, and another order of hashes."""
    names = [f"ultra_tiny/eager/{dtype}/cpu/batch2" for dtype in ("fp32", "fp64")]
    done = subprocess.run(
        [sys.executable, "-P", str(Path(harness.__file__).parent), str(root)],
        input="".join(
            json.dumps({"command": command, "name": name}) + "\n"
            for command in ("prepare", "count")
            for name in names
        ),
        env={**os.environ, "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )

    found = [json.loads(line) for line in done.stdout.splitlines()[-2:]]
    assert found == [{"ok": count(prepared.call)} for prepared in student.values()]


def test_rubbish_of_others_changes_nothing(student):
    """Tensors in cycles go when Python collects them, which is when others have made enough."""
    call = student[torch.float32].call
    alone = count(call)
    rubbish = []
    for _ in range(5000):
        item = [torch.ones(1)]
        item.append(item)
        rubbish.append(item)
    del rubbish, item

    assert count(call) == alone
    assert gc.isenabled()


def test_one_more_operation_per_layer_is_one_more_per_layer(student, monkeypatch):
    from mlffd.students.interaction import Interaction

    call = student[torch.float32].call
    before, names = count(call), operators(call)
    forward = Interaction.forward
    monkeypatch.setattr(
        Interaction, "forward", lambda self, s, v, e: forward(self, s.clone(), v, e)
    )

    after = count(call)

    assert after["kernels"] == before["kernels"] + 2
    assert after["operators"] == before["operators"] + 2
    assert operators(call) == {**names, "aten.clone.default": 2}
