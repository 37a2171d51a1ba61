"""TorchScript: one file that C++ and Python load; PyTorch has deprecated it."""

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from mlffd.export.formats import Written
from mlffd.export.graph import INPUTS, trace
from mlffd.export.manifest import TensorSpec
from mlffd.export.neighbour_graph import molecule_inputs
from mlffd.export.script_source import script_source
from mlffd.export.specs import (
    input_specs,
    molecule_input_specs,
    molecule_output_specs,
    output_specs,
)
from mlffd.students import Student

DEPRECATED = "deprecated by PyTorch: a later release may neither write nor load it"


def write(student: Student, path: Path) -> Written:
    """Write a student that takes a batch and its neighbour list.

    Args:
        student: its weights are in the dtype to export; they no longer need gradients.
        path: of the file.

    Raises:
        InputError: the student has an operation that TorchScript has no words for.
    """
    with deprecated_torchscript():
        _save(script(trace(student)), path)
    return _written(input_specs(student), output_specs(student))


def write_molecule(student: Student, path: Path) -> Written:
    """Write a student that takes one molecule, not periodic, and finds the neighbours itself.

    Args:
        student: see `write`.
        path: of the file.

    Raises:
        InputError: see `write`.
    """
    with deprecated_torchscript():
        module = torch.jit.script(_Molecule(script(trace(student)), student.cutoff))
        _save(module, path)
    return _written(molecule_input_specs(student), molecule_output_specs(student))


@contextmanager
def deprecated_torchscript() -> Iterator[None]:
    """Silence what PyTorch says of TorchScript whenever it is used: the manifest says it."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", r"`torch\.jit\.(script|save|load)` is deprecated", DeprecationWarning
        )
        yield


def script(graph: GraphModule) -> torch.jit.ScriptModule:
    """A traced graph as TorchScript, any sizes.

    Args:
        graph: of `mlffd.export.graph.trace`; loses operations that nothing depends on.

    Raises:
        InputError: it has an operation that TorchScript has no words for.
    """
    graph.graph.eliminate_dead_code()
    source = script_source(graph, INPUTS)
    constants = {
        str(node.target): getattr(graph, str(node.target)).detach()
        for node in graph.graph.find_nodes(op="get_attr")
    }

    # A class of its own: instances of one class share the code of the first.
    class Script(torch.jit.ScriptModule):
        def __init__(self) -> None:
            super().__init__()
            for name, values in constants.items():
                self.register_buffer(name, values)
            self.define(source)

    return Script()


class _Molecule(nn.Module):
    def __init__(self, graph: torch.jit.ScriptModule, cutoff: float) -> None:
        super().__init__()
        self.graph = graph
        self.cutoff = cutoff

    def forward(self, numbers: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        numbers, positions, edge_index, shifts, structure_index, atom_counts = molecule_inputs(
            numbers, positions, self.cutoff
        )
        outputs = self.graph(numbers, positions, edge_index, shifts, structure_index, atom_counts)
        return outputs[0], outputs[1]


def _save(module: torch.jit.ScriptModule, path: Path) -> None:
    """Save without where in the source on this machine each line comes from, half of the file."""
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    with zipfile.ZipFile(buffer) as saved, zipfile.ZipFile(path, "w") as kept:
        for entry in saved.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                kept.writestr(entry, saved.read(entry))


def _written(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Written:
    return Written(
        inputs=inputs,
        outputs=outputs,
        versions={"torch": torch.__version__},
        options={"torchscript": DEPRECATED},
    )
