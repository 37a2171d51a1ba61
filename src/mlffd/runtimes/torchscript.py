"""A TorchScript file, as the interpreter inside PyTorch runs it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mlffd.errors import InputError
from mlffd.export.manifest import Manifest
from mlffd.export.torchscript import deprecated_torchscript
from mlffd.runtimes.artifact import ArtifactPotential, use_threads


class TorchScriptPotential(ArtifactPotential):
    """A TorchScript file of a batch or of one molecule.

    Args:
        path: of the file.
        manifest: of the file.
        device: to compute on.
        threads: for the whole process; None: as many as PyTorch is set to.

    Raises:
        InputError: the file is no TorchScript, or the device is not there.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        device: str | torch.device = "cpu",
        threads: int | None = None,
    ) -> None:
        super().__init__(manifest, device=device)
        use_threads(threads)
        try:
            with deprecated_torchscript():
                self._module = torch.jit.load(path, map_location=self.device)
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: not a TorchScript file: {reason}") from error

    def run(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """See `ArtifactPotential.run`."""
        with torch.no_grad():
            return self._module(*inputs)  # type: ignore[no-any-return]
