"""A program of `torch.export`, as PyTorch runs it, operation by operation."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass

from mlffd.errors import InputError
from mlffd.runtimes.artifact import TorchArtifactPotential


class ProgramPotential(TorchArtifactPotential):
    """A program that `torch.export.save` wrote; see `TorchArtifactPotential`.

    PyTorch evaluates expressions that it finds in such a file: load none from a stranger.
    """

    def load(self, path: Path) -> Callable[..., Sequence[Tensor]]:
        """See `TorchArtifactPotential.load`."""
        try:
            with path.open("rb") as stream:  # of a path, PyTorch looks at the suffix
                program = torch.export.load(stream)
        except Exception as error:  # of many kinds, from the archive's reader to the parser's
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: not a program of torch.export: {reason}") from error
        if self.device.type != "cpu":
            program = move_to_device_pass(program, self.device)
        return program.module()
