"""From a file to a potential."""

import os

import torch

from mlffd.checkpoints import load_checkpoint
from mlffd.runtimes.eager import EagerPotential


def load_potential(
    path: str | os.PathLike[str],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> EagerPotential:
    """Load a checkpoint, in any known layout, ready to predict.

    Args:
        path: the checkpoint.
        device: to compute on.
        dtype: to compute in.

    Raises:
        InputError: the file is not a usable checkpoint, or the device is not there.
    """
    return EagerPotential(load_checkpoint(path), dtype=dtype, device=device)
