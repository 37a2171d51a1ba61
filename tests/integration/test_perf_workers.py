"""The processes that are measured: what disturbs a clock is kept from them."""

import platform
from pathlib import Path

import pytest

from mlffd.performance.revisions import Built
from mlffd.performance.workers import workers

WORKLOAD = "ultra_tiny/eager/fp32/cpu/atoms187"
#: Of this many calls; each allocates a hundred tensors of up to a few MiB.
CALLS = 5


def page_faults(pid: int) -> int:
    """That were answered without the disk: field 10 of ``/proc/PID/stat``, see proc(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs Linux with glibc")
def test_memory_of_one_call_serves_the_next(root):
    """If this fails, each call asks the system for its memory anew, and times scatter by 10%."""
    with workers((Built("here", root, None), None)) as (worker,):
        worker.ask("prepare", name=WORKLOAD)
        worker.ask("measure", name=WORKLOAD, calls=CALLS)
        before = page_faults(worker._process.pid)
        worker.ask("measure", name=WORKLOAD, calls=CALLS)
        faults = page_faults(worker._process.pid) - before

    assert faults < 100 * CALLS
