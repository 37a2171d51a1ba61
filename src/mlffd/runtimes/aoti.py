"""An AOTInductor package, as PyTorch's loader of compiled code runs it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch._C._aoti import AOTIModelPackageLoader

from mlffd.errors import InputError
from mlffd.export.manifest import Manifest
from mlffd.runtimes.artifact import ArtifactPotential, use_threads


class AotiPotential(ArtifactPotential):
    """A package that `mlffd.export.aoti` wrote.

    It is machine code: load none from a stranger. Two threads that use it at once take turns.

    Args:
        path: of the file.
        manifest: of the file.
        device: to compute on: the CPU.
        threads: of matrix products, for the whole process; None: as many as PyTorch is set to.

    Raises:
        InputError: the file is no such package or not for this kind of machine, or the device is
            another.
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
        if self.device.type != "cpu":
            raise InputError(f"{path}: compiled for the CPU, not for {self.device}")
        use_threads(threads)
        self._path = path
        self._dtypes = [getattr(torch, spec.dtype) for spec in manifest.inputs]
        # Not `aoti_load_package`: to know the processor's instructions, though they are not needed,
        # it compiles something for each kind, for ten seconds.
        try:
            self._package = AOTIModelPackageLoader(str(path), "model", False, 1, -1)
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: not an AOTInductor package: {reason}") from error

    def run(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """See `ArtifactPotential.run`.

        Raises:
            InputError: an input has another dtype than the package was compiled for: compiled code
                would not notice, nor would it that an input is not contiguous, so that is seen to.
        """
        found = [tensor.dtype for tensor in inputs]
        if found != self._dtypes:
            raise InputError(f"{self._path}: inputs are {found}, expected {self._dtypes}")
        return self._package.run([tensor.contiguous() for tensor in inputs])
