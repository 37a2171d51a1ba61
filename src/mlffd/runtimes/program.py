"""A program of `torch.export`, as PyTorch runs it, operation by operation."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass

from mlffd.errors import InputError
from mlffd.export.manifest import Manifest
from mlffd.runtimes.artifact import ArtifactPotential, use_threads


class ProgramPotential(ArtifactPotential):
    """A program that `torch.export.save` wrote.

    PyTorch evaluates expressions that it finds in such a file: load none from a stranger.

    Args:
        path: of the file.
        manifest: of the file.
        device: to compute on.
        threads: for the whole process; None: as many as PyTorch is set to.

    Raises:
        InputError: the file is no such program, or the device is not there.
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
            with path.open("rb") as stream:  # of a path, PyTorch looks at the suffix
                program = torch.export.load(stream)
        except Exception as error:  # of many kinds, from the archive's reader to the parser's
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: not a program of torch.export: {reason}") from error
        if self.device.type != "cpu":
            program = move_to_device_pass(program, self.device)
        self._module = program.module()

    def run(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """See `ArtifactPotential.run`."""
        with torch.no_grad():
            return self._module(*inputs)  # type: ignore[no-any-return]
