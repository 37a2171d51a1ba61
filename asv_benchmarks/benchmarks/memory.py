"""Peak memory of a prediction: of the process, and of the device."""

import torch
from harness.workloads import Workload

from .common import STUDENTS, prepared

_SYSTEMS = ("batch32", "batch512", "atoms2154")


class Host:
    """Resident memory of a process that imports, loads and predicts; on the CPU."""

    version = "1"
    unit = "bytes"
    param_names = ("student", "system")
    params = (STUDENTS, _SYSTEMS)
    timeout = 600

    def setup(self, student: str, system: str) -> None:
        """Prepare, once."""
        self.call = prepared(Workload(student, system=system)).call

    def peakmem_predict(self, *_: str) -> None:
        """Bytes."""
        self.call()


class Cuda:
    """What torch allocates on the GPU, the student and the batch included."""

    version = "1"
    unit = "bytes"
    param_names = ("student", "system", "device")
    params = (STUDENTS, _SYSTEMS, ("cuda",))

    def setup(self, student: str, system: str, device: str) -> None:
        """Prepare, once."""
        self.call = prepared(Workload(student, device=device, system=system)).call

    def track_peak(self, *_: str) -> int:
        """Bytes."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        self.call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
