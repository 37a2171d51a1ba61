"""Clocks that run, for programs that take differences themselves."""

import time

import pytest

from mlffd.performance.harness.clocks import timer_for


def test_that_of_a_cpu_is_processor_time():
    assert timer_for("cpu") is time.process_time


def test_that_of_a_gpu_sums_what_events_say(monkeypatch):
    """Events are ever later by one second, then two, then three."""
    stamps = iter([0.0, 1.0, 3.0, 6.0])

    class Event:
        def __init__(self, *, enable_timing):
            assert enable_timing

        def record(self):
            self.stamp = next(stamps)

        def synchronize(self):
            pass

        def elapsed_time(self, later):
            return 1e3 * (later.stamp - self.stamp)

    monkeypatch.setattr("torch.cuda.Event", Event)
    timer = timer_for("cuda")
    assert [timer(), timer(), timer()] == pytest.approx([1.0, 3.0, 6.0])
