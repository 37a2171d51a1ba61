"""A program of `torch.export`: the graph itself, for PyTorch and for what compiles it further."""

import io
from pathlib import Path

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule

from mlffd.export.formats import Written
from mlffd.export.graph import exported_program
from mlffd.export.specs import input_specs, output_specs
from mlffd.students import Student


def write(student: Student, path: Path) -> Written:
    """Write a student that takes a batch and its neighbour list.

    Args:
        student: its weights are in the dtype to export; they no longer need gradients.
        path: of the file.
    """
    program = exported_program(student)
    anonymize(program)
    # Into memory first: to a path, its last part would be written into the file.
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    path.write_bytes(buffer.getvalue())
    return Written(
        inputs=input_specs(student),
        outputs=output_specs(student),
        versions={"torch": torch.__version__},
    )


def anonymize(program: ExportedProgram) -> None:
    """Drop from a program where on this machine its operations come from, and the example.

    Paths would make files of the same student differ from machine to machine, and tell who made
    them. The example is stored as a pickle.
    """
    for module in program.graph_module.modules():
        if isinstance(module, GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    program.example_inputs = None
