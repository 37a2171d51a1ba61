"""What only a GPU can show: its clock, what it was told to do, its memory, and the same energies.

Where there is none these are skipped, unless MLFFD_REQUIRE_GPU says that there should be one. What
they test is tested without a GPU too, with stand-ins for it.
"""

import os

import numpy as np
import pytest
import torch

import mlffd
from mlffd.performance.harness.clocks import CudaClock, device_state, timer_for
from mlffd.performance.harness.counters import count
from mlffd.performance.revisions import Built
from mlffd.performance.workers import workers
from mlffd.runtimes.potential import predict
from mlffd.structures import probes

pytestmark = pytest.mark.gpu

WORKLOAD = "ultra_tiny/eager/fp32/cuda/batch8"


@pytest.fixture(autouse=True)
def _gpu():
    if not torch.cuda.is_available():
        if os.environ.get("MLFFD_REQUIRE_GPU"):
            pytest.fail("MLFFD_REQUIRE_GPU is set, but torch finds no GPU")
        pytest.skip("needs a GPU")


@pytest.fixture
def matrix():
    return torch.ones(4096, 4096, device="cuda")


def test_the_clock_sees_what_the_gpu_does_and_no_more(matrix):
    """Multiplying takes the GPU milliseconds, and the host microseconds to ask for it."""
    clock = CudaClock()
    clock.measure(lambda: matrix @ matrix, 3)
    found = clock.measure(lambda: matrix @ matrix, 5)
    assert len(found.seconds) == len(found.wall) == 5
    assert min(found.seconds) > 1e-4
    assert all(seconds <= wall for seconds, wall in zip(found.seconds, found.wall, strict=True))


def test_the_running_clock_adds_up(matrix):
    timer = timer_for("cuda")
    started = timer()
    matrix @ matrix
    halfway = timer()
    matrix @ matrix
    assert started < halfway < timer()


def test_kernels_are_those_that_the_gpu_was_told_to_run(matrix):
    one = count(lambda: matrix + 1)
    two = count(lambda: (matrix + 1) * 2)
    assert (one["kernels"], two["kernels"]) == (1, 2)
    assert one["allocated_bytes"] == 4 * matrix.numel()


def test_waiting_for_a_value_is_counted(matrix):
    assert count(lambda: matrix[0, 0] + 1)["synchronizations"] == 0
    assert count(lambda: matrix[0, 0].item() + 1)["synchronizations"] == 1


def test_a_worker_measures_and_counts_on_the_gpu(root):
    with workers((Built("here", root, None), None)) as (worker,):
        worker.ask("prepare", name=WORKLOAD)
        reading = worker.ask("measure", name=WORKLOAD, calls=5)
        counters = [worker.ask("count", name=WORKLOAD) for _ in range(2)]
        state = worker.ask("state", device="cuda")
    assert min(reading["seconds"]) > 0
    assert counters[0] == counters[1]
    assert counters[0]["kernels"] > 10
    assert state["device"] == torch.cuda.get_device_name()


def test_the_state_tells_driver_clocks_and_throttling():
    state = device_state("cuda")
    assert {"device", "cuda", "driver_version", "clocks.sm", "clocks_event_reasons.active"} <= set(
        state
    )


def test_a_student_says_the_same_on_both(root):
    path = root / "golden" / "checkpoints" / "ultra_tiny.pt"
    structures = probes.molecules(frozenset({1, 6, 7, 8}))
    host, device = (
        predict(mlffd.load_potential(path, device=name, dtype=torch.float64), structures)
        for name in ("cpu", "cuda")
    )
    for a, b, structure in zip(host, device, structures, strict=True):
        assert b.energy == pytest.approx(a.energy, abs=1e-9 * len(structure))
        np.testing.assert_allclose(b.forces, a.forces, atol=1e-9, rtol=0)
