"""Clocks: processor time on a CPU, events on a GPU; and in what state the device is."""

import gc
import platform
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Reading(NamedTuple):
    """Seconds of each of several calls.

    Attributes:
        seconds: by the device's clock.
        wall: by the clock on the wall.
    """

    seconds: list[float]
    wall: list[float]


class Clock(ABC):
    """Measures calls one by one."""

    @abstractmethod
    def measure(self, call: Callable[[], Any], calls: int) -> Reading:
        """Seconds of so many calls."""


class ProcessorClock(Clock):
    """Processor time of all threads of the process.

    Unlike the clock on the wall it stands still while another process has the core, which on a
    shared machine is most of the noise. What only waits costs nothing by it: the wall is kept, too.
    """

    def measure(self, call: Callable[[], Any], calls: int) -> Reading:
        """See `Clock.measure`."""
        seconds, wall = [], []
        gc.disable()  # or one's garbage would fall to whoever is next
        for _ in range(calls):
            started, began = time.perf_counter(), time.process_time()
            call()
            seconds.append(time.process_time() - began)
            wall.append(time.perf_counter() - started)
        gc.enable()
        return Reading(seconds, wall)


class CudaClock(Clock):
    """Events that the GPU itself stamps, around each call; one synchronization at the end."""

    def measure(self, call: Callable[[], Any], calls: int) -> Reading:
        """See `Clock.measure`."""
        torch.cuda.synchronize()
        pairs, wall = [], []
        for _ in range(calls):
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            started = time.perf_counter()
            before.record()
            call()
            after.record()
            # Waiting here keeps a queue of earlier calls from hiding what the host takes.
            after.synchronize()
            wall.append(time.perf_counter() - started)
            pairs.append((before, after))
        # A difference of two events is float32 milliseconds: exact enough over one call.
        return Reading([before.elapsed_time(after) / 1e3 for before, after in pairs], wall)


def clock_for(device: str) -> Clock:
    """The clock of a device."""
    return CudaClock() if torch.device(device).type == "cuda" else ProcessorClock()


def timer_for(device: str) -> Callable[[], float]:
    """A running clock of a device, in seconds, for programs that take differences themselves."""
    return _CudaTimer() if torch.device(device).type == "cuda" else time.process_time


class _CudaTimer:
    """Seconds that the GPU has stamped so far.

    A sum of the times between one reading and the next: the time since a distant event would be
    float32 milliseconds of a large number, and its differences coarse.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._last = self._stamp()

    def __call__(self) -> float:
        now = self._stamp()
        self._seconds += self._last.elapsed_time(now) / 1e3
        self._last = now
        return self._seconds

    def _stamp(self) -> Any:  # noqa: ANN401 - torch's events have no types
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        event.synchronize()
        return event


def device_state(device: str = "cpu") -> dict[str, str]:
    """What a timing depends on besides the program: device, driver, clocks, throttling.

    What cannot be found out is left out.
    """
    state = {"processor": _processor(), "threads": str(torch.get_num_threads())}
    if torch.device(device).type != "cuda":
        return state
    state["device"] = torch.cuda.get_device_name()
    state["cuda"] = str(torch.version.cuda)
    program = shutil.which("nvidia-smi")
    if program is None:
        return state
    fields = (
        "driver_version",
        "clocks.sm",
        "clocks.mem",
        "temperature.gpu",
        "power.draw",
        "clocks_event_reasons.active",
    )
    # By its name, not its number: torch counts only those that it is shown.
    unique = f"GPU-{torch.cuda.get_device_properties().uuid}"
    query = [program, f"--id={unique}", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    if found.returncode == 0:
        values = [value.strip() for value in found.stdout.split(",")]
        state |= dict(zip(fields, values, strict=False))
    return state


def _processor() -> str:
    """Its model, as Linux knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
