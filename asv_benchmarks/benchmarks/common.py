"""What all benchmarks share: which revision is measured, on what, and by which clock."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from harness.clocks import timer_for
from harness.workloads import Prepared, Unavailable, Workload, checkpoint_of, prepare

import mlffd
from mlffd import load_potential

from . import CHECKOUT

#: The checkout of the revision that is measured; `asv_benchmarks/run.py` says which.
REVISION = Path(os.environ.get("MLFFD_MEASURED_ROOT", CHECKOUT))
#: Its exported files, if there are any.
EXPORTS = (
    Path(os.environ["MLFFD_MEASURED_EXPORTS"]) if "MLFFD_MEASURED_EXPORTS" in os.environ else None
)
#: What all revisions are judged on: old ones have another golden set, or none.
DATA = CHECKOUT / "golden" / "datasets" / "golden.h5"

STUDENTS = ("original", "tiny", "ultra_tiny")
DEVICES = ("cpu", "cuda")


def _require_revision(packages: str) -> None:
    """Stop where Python finds another mlffd than the one that results would be filed under."""
    if not Path(str(mlffd.__file__)).is_relative_to(packages):
        raise RuntimeError(f"mlffd is {mlffd.__file__}, expected that in {packages}")


if "MLFFD_MEASURED_PACKAGES" in os.environ:
    _require_revision(os.environ["MLFFD_MEASURED_PACKAGES"])


def require_device(device: str) -> None:
    """Skip the benchmark if the device is not there.

    Raises:
        NotImplementedError: which asv takes for a skip.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise NotImplementedError("device cuda: torch finds none")


@cache
def prepared(workload: Workload) -> Prepared:
    """The workload, ready and warm. Made once in a process: asv calls `setup` before each sample.

    Raises:
        NotImplementedError: the device is not there, or the revision has no such thing.
    """
    require_device(workload.device)
    checkpoint(workload.student)
    try:
        return prepare(workload, REVISION, EXPORTS)
    except Unavailable as error:
        raise NotImplementedError(str(error)) from error


@cache
def eager(student: str) -> Any:  # noqa: ANN401 - a potential of the revision's own
    """A student in eager float32 on the CPU.

    Raises:
        NotImplementedError: the revision has no such student.
    """
    return load_potential(checkpoint(student))


def checkpoint(student: str) -> Path:
    """That of a student of the revision.

    Raises:
        NotImplementedError: it has no such student.
    """
    try:
        path = checkpoint_of(student, REVISION)
    except Unavailable as error:
        raise NotImplementedError(str(error)) from error
    if not path.exists():
        raise NotImplementedError(f"{path.name} is not in the revision")
    return path


def in_new_process(program: str, *arguments: object) -> float:
    """The least of three numbers that a program prints, each time in a new Python."""
    environment = {**os.environ, "PYTHONPATH": os.environ.get("MLFFD_MEASURED_PACKAGES", "")}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return min(
        float(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
        for _ in range(3)
    )


class Timed:
    """What benchmarks of time have in common: the clock of the device, and how often.

    asv differences what `timer` returns, and reads it anew after each `setup`: a clock that is
    divided by the number of structures makes seconds per structure of seconds.
    """

    number = 1
    rounds = 2
    repeat = (3, 10, 1.0)
    warmup_time = 0.05
    timeout = 600

    def start_clock(self, device: str = "cpu", share: int = 1) -> None:
        """Time the calls that follow by the clock of a device, per share of a call."""
        clock = timer_for(device)
        self.timer = lambda: clock() / share
