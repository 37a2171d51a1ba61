"""A file of weights, in the student that its header names, in eager PyTorch."""

from pathlib import Path

import torch

from mlffd.checkpoints import load_checkpoint
from mlffd.export.manifest import Manifest
from mlffd.runtimes.artifact import use_threads
from mlffd.runtimes.eager import EagerPotential


class WeightsPotential(EagerPotential):
    """A safetensors file of mlffd; see `EagerPotential`.

    Args:
        path: of the file.
        manifest: of the file.
        device: to compute on.
        threads: for the whole process; None: as many as PyTorch is set to.

    Raises:
        InputError: the file is no sound checkpoint, safetensors is missing, or the device is not
            there.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        device: str | torch.device = "cpu",
        threads: int | None = None,
    ) -> None:
        use_threads(threads)
        super().__init__(load_checkpoint(path), dtype=manifest.dtype, device=device)
