"""An AOTInductor package, as PyTorch's loader of compiled code runs it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch._C._aoti import AOTIModelPackageLoader

from mlffd.errors import InputError
from mlffd.runtimes.artifact import TorchArtifactPotential


class AotiPotential(TorchArtifactPotential):
    """A package that `mlffd.export.aoti` wrote; see `TorchArtifactPotential`.

    It is machine code: load none from a stranger. Two threads that use it at once take turns.
    """

    def load(self, path: Path) -> Callable[..., Sequence[Tensor]]:
        """See `TorchArtifactPotential.load`; what it returns also raises an InputError.

        Compiled code would not notice an input of another dtype than it was compiled for, nor one
        that is not contiguous: the first is refused, the second is seen to.

        Raises:
            InputError: it is none of this kind of machine, or the device is not the CPU.
        """
        if self.device.type != "cpu":
            raise InputError(f"{path}: compiled for the CPU, not for {self.device}")
        expected = [getattr(torch, spec.dtype) for spec in self.manifest.inputs]
        # Not `aoti_load_package`: to know the processor's instructions, though they are not needed,
        # it compiles something for each kind, for ten seconds.
        try:
            package = AOTIModelPackageLoader(str(path), "model", False, 1, -1)
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: not an AOTInductor package: {reason}") from error

        def run(*inputs: Tensor) -> Sequence[Tensor]:
            found = [tensor.dtype for tensor in inputs]
            if found != expected:
                raise InputError(f"{path}: inputs are {found}, expected {expected}")
            return package.run([tensor.contiguous() for tensor in inputs])

        return run
