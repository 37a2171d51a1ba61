"""A student as PyTorch runs it, operation by operation: the reference for every other runtime."""

import copy

import torch

from mlffd.errors import InputError
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.students.base import Student


class EagerPotential:
    """A student in eager PyTorch.

    Args:
        student: is copied, so that its dtype and device stay as they are.
        dtype: to compute in.
        device: to compute on.

    Raises:
        InputError: the device is not there.
    """

    def __init__(
        self,
        student: Student,
        *,
        dtype: torch.dtype = torch.float64,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = available_device(device)
        self.dtype = dtype
        self.student = copy.deepcopy(student).to(device=self.device, dtype=dtype).eval()
        self.student.requires_grad_(False)
        self.max_z = student.max_z
        self.cutoff = student.cutoff
        self.honours_cells = student.honours_cells
        self.has_stress = student.honours_cells

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        """See `Potential`."""
        return self.student(batch, stress=stress)  # type: ignore[no-any-return]


def available_device(device: str | torch.device) -> torch.device:
    """The device, if this machine has it.

    Raises:
        InputError: it does not, or there is no such device.
    """
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen).cpu()  # "meta" is a device, but nothing comes back from it
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"device {str(device)!r} cannot be used here: {reason}") from error
    return chosen
