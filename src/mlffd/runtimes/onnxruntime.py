"""An ONNX file, as onnxruntime runs it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlffd.errors import InputError
from mlffd.export.manifest import Manifest
from mlffd.optional import import_optional
from mlffd.runtimes.artifact import ArtifactPotential

#: What onnxruntime is to compute with, and where tensors are then, by device asked for.
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "cpu"),
    "cuda": ("CUDAExecutionProvider", "cuda"),
    "tensorrt": ("TensorrtExecutionProvider", "cuda"),
}


class OnnxPotential(ArtifactPotential):
    """An ONNX file of a batch or of one molecule.

    Inputs and outputs are read and written where PyTorch has them: nothing is copied.

    Args:
        path: of the file.
        manifest: of the file.
        device: ``cpu``, ``cuda`` or ``tensorrt``, of which the latter two may have a number.
        threads: that one operator may use on the CPU; None: as many as there are cores.

    Raises:
        InputError: onnxruntime is missing, does not take the file or cannot use the device, or the
            file has not the inputs and outputs of the manifest.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        device: str | torch.device = "cpu",
        threads: int | None = None,
    ) -> None:
        kind, _, number = str(device).partition(":")
        if kind not in _PROVIDERS:
            raise InputError(
                f"device {str(device)!r} is unknown to onnxruntime, expected one of"
                f" {', '.join(_PROVIDERS)}"
            )
        provider, where = _PROVIDERS[kind]
        runtime = import_optional("onnxruntime", extra="export")
        if provider not in (there := runtime.get_available_providers()):
            raise InputError(
                f"device {str(device)!r}: this onnxruntime has no {provider}, only"
                f" {', '.join(there)}"
            )
        super().__init__(manifest, device=f"{where}:{number}" if number else where)
        self._session = _session(runtime, path, provider, self.device.index, threads)
        self._inputs = [item.name for item in self._session.get_inputs()]
        self._outputs = manifest.outputs
        self._sizes = [spec.shape for spec in manifest.inputs]
        outputs = [item.name for item in self._session.get_outputs()]
        for found, specs in ((self._inputs, manifest.inputs), (outputs, manifest.outputs)):
            if found != (expected := [spec.name for spec in specs]):
                raise InputError(
                    f"{path}: has {', '.join(found)} where its manifest has {', '.join(expected)}"
                )

    def run(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """See `ArtifactPotential.run`. May be called by several threads at once."""
        inputs = [tensor.contiguous() for tensor in inputs]
        sizes = {
            name: size
            for shape, tensor in zip(self._sizes, inputs, strict=True)
            for name, size in zip(shape, tensor.shape, strict=True)
        }
        outputs = [
            torch.empty(
                [size if isinstance(size, int) else sizes[size] for size in spec.shape],
                dtype=getattr(torch, spec.dtype),
                device=self.device,
            )
            for spec in self._outputs
        ]
        binding = self._session.io_binding()
        for name, tensor in zip(self._inputs, inputs, strict=True):
            binding.bind_input(name, *_location(tensor))
        for spec, tensor in zip(self._outputs, outputs, strict=True):
            binding.bind_output(spec.name, *_location(tensor))
        if self.device.type == "cuda":
            # onnxruntime computes on a stream of its own.
            torch.cuda.current_stream(self.device).synchronize()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return outputs


def _location(tensor: Tensor) -> tuple[str, int, Any, tuple[int, ...], int]:
    """What onnxruntime must know of a contiguous tensor to use it where it is."""
    dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
    return (
        tensor.device.type,
        tensor.device.index or 0,
        dtype,
        tuple(tensor.shape),
        tensor.data_ptr(),
    )


def _session(
    runtime: Any,  # noqa: ANN401 - a package without types
    path: Path,
    provider: str,
    number: int | None,
    threads: int | None,
) -> Any:  # noqa: ANN401 - an onnxruntime.InferenceSession
    options = runtime.SessionOptions()
    options.inter_op_num_threads = 1
    if threads is not None:
        options.intra_op_num_threads = threads
    settings = {} if number is None or provider.startswith("CPU") else {"device_id": str(number)}
    try:
        session = runtime.InferenceSession(path, options, providers=[(provider, settings)])
    except Exception as error:  # onnxruntime's own kinds, which share no base
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: onnxruntime does not take it: {reason}") from error
    if (used := session.get_providers())[0] != provider:
        raise InputError(f"{path}: onnxruntime uses {used[0]}, where {provider} was asked for")
    return session
