"""A program of some ten lines that runs an artifact without mlffd; its manifest holds it."""

import json
import textwrap
from collections.abc import Callable

from mlffd.export.manifest import Manifest

# Water. Names of inputs are those of the manifest; so are the cutoff and the dtype.
_NUMPY_MOLECULE = """\
numbers = np.array([8, 1, 1])  # water
positions = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]], np.{dtype})  # Å
"""
_NUMPY_NEIGHBOURS = """\
distances = np.linalg.norm(positions[:, None] - positions, axis=2)
i, j = np.nonzero((distances < {cutoff}) & ~np.eye(len(numbers), dtype=bool))  # every ordered pair
"""
_NUMPY_INPUTS = {
    "numbers": "numbers",
    "positions": "positions",
    "edge_index": "np.stack([j, i])",
    "shifts": "np.zeros((len(i), 3), np.{dtype})",
    "structure_index": "np.zeros_like(numbers)",
    "atom_counts": "np.array([len(numbers)])",
}
_TORCH_MOLECULE = """\
numbers = torch.tensor([8, 1, 1])  # water
positions = [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]]  # Å
positions = torch.tensor(positions, dtype=torch.{dtype})
"""
_TORCH_NEIGHBOURS = """\
distances = (positions[:, None] - positions).norm(dim=2)
near = (distances < {cutoff}) & ~torch.eye(len(numbers), dtype=torch.bool)
i, j = near.nonzero(as_tuple=True)  # every ordered pair
"""
_TORCH_INPUTS = {
    "numbers": "numbers",
    "positions": "positions",
    "edge_index": "torch.stack([j, i])",
    "shifts": "positions.new_zeros(len(i), 3)",
    "structure_index": "torch.zeros_like(numbers)",
    "atom_counts": "torch.tensor([len(numbers)])",
}
_PRINT = """\
print("energy in eV:", energy.item())
print("forces in eV/Å:", forces.tolist())
"""


def snippet(manifest: Manifest, file_name: str) -> str:
    """A program that runs an artifact: water, with its neighbours where the artifact wants them.

    It is started where the artifact is, needs the bare runtime only, and prints energy and forces.

    Args:
        manifest: of the artifact; what it says of a snippet is not used.
        file_name: of the artifact.
    """
    return _WRITERS[manifest.format](manifest, file_name)


def _onnx(manifest: Manifest, file_name: str) -> str:
    inputs = _filled(_NUMPY_INPUTS, manifest)
    fed = _wrapped([f'"{name}": {value}' for name, value in inputs.items()])
    return (
        "import numpy as np\nimport onnxruntime\n\n"
        + _molecule(_NUMPY_MOLECULE, _NUMPY_NEIGHBOURS, manifest)
        + 'providers = ["CPUExecutionProvider"]\n'
        + f"session = onnxruntime.InferenceSession({_quoted(file_name)}, providers=providers)\n"
        + f"inputs = {{{fed}}}\n"
        + 'energy, forces = session.run(["energy", "forces"], inputs)\n'
        + _PRINT
    )


def _torch(load: str) -> Callable[[Manifest, str], str]:
    """The program of what PyTorch loads in some way and calls with tensors in order."""

    def write(manifest: Manifest, file_name: str) -> str:
        inputs = _filled(_TORCH_INPUTS, manifest)
        passed = _wrapped(list(inputs.values()))
        return (
            "import torch\n\n"
            + _molecule(_TORCH_MOLECULE, _TORCH_NEIGHBOURS, manifest)
            + f"model = {load.format(_quoted(file_name))}\n"
            + f"energy, forces, *_ = model({passed})\n"
            + _PRINT
        )

    return write


def _package(manifest: Manifest, file_name: str) -> str:
    """C++, for that is what packages are compiled for."""
    from mlffd.export.aoti import example_program

    return example_program(manifest, file_name)


def _quoted(file_name: str) -> str:
    """As a constant in a program: JSON's strings are Python's."""
    return json.dumps(file_name, ensure_ascii=False)


def _weights(_: Manifest, file_name: str) -> str:
    """What reads the weights: there is nothing in the file that could be run."""
    return (
        "import torch\nfrom safetensors.torch import load_file\n\n"
        + f"weights = load_file({_quoted(file_name)})\n"
        + 'for name in [name for name in weights if name + ".scale" in weights]:\n'
        + '    weights[name] = weights[name] * weights.pop(name + ".scale")[:, None]\n'
        + "for name, weight in weights.items():\n"
        + "    if weight.dtype != torch.float64:\n"
        + "        weights[name] = weight.float()\n"
        + "    print(name, list(weight.shape))\n"
    )


def _molecule(molecule: str, neighbours: str, manifest: Manifest) -> str:
    text = molecule + (neighbours if manifest.neighbours == "input" else "")
    return text.format(dtype=_dtype(manifest), cutoff=manifest.cutoff)


def _wrapped(items: list[str]) -> str:
    """Items of a call or a dictionary, on as few lines as they fit."""
    # A space within an item is no place to break a line.
    text = ", ".join(item.replace(" ", "\0") for item in items)
    lines = textwrap.wrap(text, 92, break_long_words=False, break_on_hyphens=False)
    text = "\n    ".join(lines).replace("\0", " ")
    return text if len(lines) == 1 else f"\n    {text}\n"


def _filled(expressions: dict[str, str], manifest: Manifest) -> dict[str, str]:
    return {
        spec.name: expressions[spec.name].format(dtype=_dtype(manifest)) for spec in manifest.inputs
    }


def _dtype(manifest: Manifest) -> str:
    return str(manifest.dtype).removeprefix("torch.")


_load_script = _torch("torch.jit.load({})  # TorchScript is deprecated")

_WRITERS: dict[str, Callable[[Manifest, str], str]] = {
    "onnx": _onnx,
    "onnx-molecule": _onnx,
    "torch-export": _torch("torch.export.load({}).module()"),
    "aoti": _package,
    "torchscript": _load_script,
    "torchscript-molecule": _load_script,
    "safetensors": _weights,
}
