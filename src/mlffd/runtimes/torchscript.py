"""A TorchScript file, as the interpreter inside PyTorch runs it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mlffd.errors import InputError
from mlffd.export.torchscript import deprecated_torchscript
from mlffd.runtimes.artifact import TorchArtifactPotential


class TorchScriptPotential(TorchArtifactPotential):
    """A TorchScript file of a batch or of one molecule; see `TorchArtifactPotential`."""

    def load(self, path: Path) -> Callable[..., Sequence[Tensor]]:
        """See `TorchArtifactPotential.load`."""
        try:
            with deprecated_torchscript():
                module: Callable[..., Sequence[Tensor]] = torch.jit.load(
                    path, map_location=self.device
                )
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: not a TorchScript file: {reason}") from error
        return module
