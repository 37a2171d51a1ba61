"""Run an exported file, knowing of it what its manifest says: a program without mlffd.

    python run_by_manifest.py ARTIFACT INPUTS.npz OUTPUTS.npz

The inputs hold the arrays of any number of batches, each called ``<batch>/<name>``, and may hold
more than the file takes. The outputs are called alike. Needs NumPy, and onnxruntime or torch.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]


def onnx(path: str, manifest: dict[str, Any]) -> Callable[[Arrays], list[np.ndarray]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output["name"] for output in manifest["outputs"]]
    return lambda inputs: session.run(names, dict(inputs))


def pytorch(
    load: Callable[[Any, str], Any],
) -> Callable[[str, dict[str, Any]], Callable[[Arrays], list[np.ndarray]]]:
    """What torch loads in some way, and calls with tensors in the order of the manifest."""

    def opened(path: str, _: dict[str, Any]) -> Callable[[Arrays], list[np.ndarray]]:
        import torch

        model = load(torch, path)

        def run(inputs: Arrays) -> list[np.ndarray]:
            with torch.no_grad():
                outputs = model(*(torch.from_numpy(array) for array in inputs.values()))
            return [output.numpy() for output in outputs]

        return run

    return opened


def package(torch: Any, path: str) -> Any:
    import torch._inductor

    return torch._inductor.aoti_load_package(path)


script = pytorch(lambda torch, path: torch.jit.load(path))

OPENING = {
    "onnx": onnx,
    "onnx-molecule": onnx,
    "torch-export": pytorch(lambda torch, path: torch.export.load(path).module()),
    "aoti": pytorch(package),
    "torchscript": script,
    "torchscript-molecule": script,
}


def require_described(spec: dict[str, Any], array: np.ndarray, sizes: dict[str, int]) -> None:
    """A dtype and a shape are as stated; a size that has a name is the same wherever it has it."""
    if str(array.dtype) != spec["dtype"] or len(array.shape) != len(spec["shape"]):
        raise SystemExit(f"{spec['name']}: {array.dtype}{list(array.shape)}, the manifest: {spec}")
    for stated, found in zip(spec["shape"], array.shape, strict=True):
        wanted = sizes.setdefault(stated, found) if isinstance(stated, str) else stated
        if found != wanted:
            raise SystemExit(f"{spec['name']}: {stated} is {found}, expected {wanted}")


def main(artifact: str, inputs: str, outputs: str) -> None:
    manifest = json.loads(Path(f"{artifact}.json").read_text(encoding="utf-8"))
    run = OPENING[manifest["format"]](artifact, manifest)
    given, results = np.load(inputs), {}
    for batch in dict.fromkeys(key.partition("/")[0] for key in given.files):
        taken = {  # row after row in memory, as some formats want them
            spec["name"]: np.ascontiguousarray(given[f"{batch}/{spec['name']}"])
            for spec in manifest["inputs"]
        }
        found = run(taken)
        sizes: dict[str, int] = {}
        arrays = [*taken.values(), *found]
        specs = manifest["inputs"] + manifest["outputs"]
        for spec, array in zip(specs, arrays, strict=True):
            require_described(spec, array, sizes)
        for spec, array in zip(manifest["outputs"], found, strict=True):
            results[f"{batch}/{spec['name']}"] = array
    np.savez(outputs, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
