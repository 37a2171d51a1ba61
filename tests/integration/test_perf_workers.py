"""The processes that are measured: what disturbs a clock is kept from them."""

import platform
from itertools import pairwise
from pathlib import Path

import pytest

from mlffd.performance.revisions import Built
from mlffd.performance.workers import workers

WORKLOAD = "ultra_tiny/eager/fp32/cpu/atoms187"
#: Each call allocates a hundred tensors of up to a few MiB.
CALLS = 5
#: Repetitions of so many calls. What a process holds grows for the first few, at no fixed one:
#: 0 to 1200 faults each. Without the setting, each of 48 repetitions had 2000 to 22,000.
REPETITIONS = 8


def page_faults(pid: int) -> int:
    """That were answered without the disk: field 10 of ``/proc/PID/stat``, see proc(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs Linux with glibc")
def test_memory_of_one_call_serves_the_next(root):
    """If this fails, each call asks the system for its memory anew, and times scatter by 10%."""
    with workers((Built("here", root, None), None)) as (worker,):
        worker.ask("prepare", name=WORKLOAD)
        counted = [page_faults(worker._process.pid)]
        for _ in range(REPETITIONS):
            worker.ask("measure", name=WORKLOAD, calls=CALLS)
            counted.append(page_faults(worker._process.pid))

    assert min(b - a for a, b in pairwise(counted)) < CALLS
