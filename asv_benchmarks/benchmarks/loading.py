"""Before the first prediction: imports, loading, and what the first call costs.

The processor seconds of new processes, the least of three, since noise only adds.
"""

from mlffd import load_potential

from .common import STUDENTS, Timed, checkpoint, in_new_process

_IMPORT = """
import time
import mlffd
mlffd.load_potential
print(time.process_time())
"""
_FIRST_CALL = """
import sys, time
import numpy as np
import torch
torch.set_num_threads(1)
import mlffd
from mlffd.runtimes.potential import predict
from mlffd.structures.structure import Structure
positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.76, 0.59], [0.0, -0.76, 0.59]])
water = Structure(np.array([8, 1, 1]), positions)
potential = mlffd.load_potential(sys.argv[1])
began = time.process_time()
predict(potential, [water])
print(time.process_time() - began)
"""


class Loading(Timed):
    """A checkpoint, from file to potential, in a process that has loaded one before."""

    version = "1"
    unit = "seconds"
    param_names = ("student",)
    params = (STUDENTS,)

    def setup(self, student: str) -> None:
        """Find the checkpoint."""
        self.path = checkpoint(student)
        self.start_clock()

    def time_load(self, _: str) -> None:
        """Seconds."""
        load_potential(self.path)


class FirstCall:
    """The first prediction of a process, for one molecule of water, loading not included."""

    version = "1"
    unit = "seconds"
    param_names = ("student",)
    params = (STUDENTS,)
    timeout = 300

    def setup(self, student: str) -> None:
        """Find the checkpoint."""
        self.path = checkpoint(student)

    def track_first_call(self, _: str) -> float:
        """Processor seconds."""
        return in_new_process(_FIRST_CALL, self.path)


class Importing:
    """Python, mlffd, and with `load_potential` torch and all else that a prediction needs."""

    version = "1"
    unit = "seconds"
    timeout = 300

    def track_import(self) -> float:
        """Processor seconds from the start of Python."""
        return in_new_process(_IMPORT)
