"""Energies and forces of prepared batches: seconds per structure, and per atom.

Neighbours are those of each structure, never of the batch, and a structure is a molecule: two
benchmarks that counted atoms as molecules, or had no forces, would look faster for it.
"""

from harness.systems import SYSTEMS
from harness.workloads import Workload

from .common import DEVICES, STUDENTS, Timed, prepared

_RUNTIMES = ("compiled", "torchscript", "torch-export", "onnx", "onnx/int8-weights", "aoti")


class _Calls(Timed):
    """Times the call of a workload."""

    def take(self, workload: Workload, *, per_atom: bool = False) -> None:
        """Make a workload the one that is timed."""
        found = prepared(workload)
        self.call = found.call
        self.start_clock(workload.device, found.atoms if per_atom else found.structures)


class EagerPerStructure(_Calls):
    """Eager PyTorch in float32."""

    version = "1"
    unit = "seconds per structure"
    param_names = ("student", "system", "device")
    params = (STUDENTS, SYSTEMS, DEVICES)

    def setup(self, student: str, system: str, device: str) -> None:
        """Prepare, once."""
        self.take(Workload(student, device=device, system=system))

    def time_energy_and_forces(self, *_: str) -> None:
        """Seconds per structure."""
        self.call()


class EagerPerAtom(_Calls):
    """The same where structures differ in size, and atoms can be compared."""

    version = "1"
    unit = "seconds per atom"
    param_names = ("student", "system", "device")
    params = (STUDENTS, ("batch1", "batch32", "periodic", "atoms187", "atoms2154"), DEVICES)

    def setup(self, student: str, system: str, device: str) -> None:
        """Prepare, once."""
        self.take(Workload(student, device=device, system=system), per_atom=True)

    def time_energy_and_forces(self, *_: str) -> None:
        """Seconds per atom."""
        self.call()


class DoublePrecision(_Calls):
    """Eager PyTorch in float64, in which checks run."""

    version = "1"
    unit = "seconds per structure"
    param_names = ("student", "system", "device")
    params = (STUDENTS, ("batch1", "batch32"), DEVICES)

    def setup(self, student: str, system: str, device: str) -> None:
        """Prepare, once."""
        self.take(Workload(student, precision="fp64", device=device, system=system))

    def time_energy_and_forces(self, *_: str) -> None:
        """Seconds per structure."""
        self.call()


class Runtimes(_Calls):
    """Compiled students, and exported files where the revision has them."""

    version = "1"
    unit = "seconds per structure"
    param_names = ("student", "runtime", "system", "device")
    params = (STUDENTS, _RUNTIMES, ("batch1", "batch8", "batch32"), DEVICES)

    def setup(self, student: str, runtime: str, system: str, device: str) -> None:
        """Prepare, once."""
        name, _, precision = runtime.partition("/")
        self.take(Workload(student, name, precision or "fp32", device, system))

    def time_energy_and_forces(self, *_: str) -> None:
        """Seconds per structure."""
        self.call()
