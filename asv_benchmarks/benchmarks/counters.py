"""What a prediction dispatches, computes and allocates: exact, whatever else the machine does."""

from functools import cache

from harness.counters import count
from harness.workloads import Workload

from .common import DEVICES, STUDENTS, prepared


@cache
def _counted(student: str, system: str, device: str) -> dict[str, int]:
    return count(prepared(Workload(student, device=device, system=system)).call)


class Eager:
    """Energies and forces in eager PyTorch, per call."""

    version = "1"
    param_names = ("student", "system", "device")
    params = (STUDENTS, ("batch1", "batch32"), DEVICES)

    def setup(self, student: str, system: str, device: str) -> None:
        """Count, once."""
        self.counted = _counted(student, system, device)

    def track_operators(self, *_: str) -> int:
        """Dispatched."""
        return self.counted["operators"]

    def track_kernels(self, *_: str) -> int:
        """Launched."""
        return self.counted["kernels"]

    def track_flops(self, *_: str) -> int:
        """Of matrix products."""
        return self.counted["flops"]

    def track_allocated(self, *_: str) -> int:
        """Bytes of all tensors that are made."""
        return self.counted["allocated_bytes"]

    def track_peak(self, *_: str) -> int:
        """Bytes of those that are there at one time."""
        return self.counted["peak_bytes"]

    def track_synchronizations(self, *_: str) -> int:
        """Where the host waits for a value."""
        return self.counted["synchronizations"]

    track_operators.unit = "operators"
    track_kernels.unit = "kernels"
    track_flops.unit = "FLOP"
    track_allocated.unit = track_peak.unit = "bytes"
    track_synchronizations.unit = "synchronizations"
