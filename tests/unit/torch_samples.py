"""Students with random weights but sizeable forces, and files of them opened in their runtimes."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mlffd.export import program, torchscript
from mlffd.export.deviations import TOLERANCES
from mlffd.export.equivalence import verify
from mlffd.export.manifest import Manifest
from mlffd.runtimes.potential import Potential
from mlffd.runtimes.program import ProgramPotential
from mlffd.runtimes.torchscript import TorchScriptPotential
from mlffd.students import Student, build

CHNO = frozenset({1, 6, 7, 8})
FORMATS = {
    "torchscript": (torchscript.write, TorchScriptPotential),
    "torchscript-molecule": (torchscript.write_molecule, TorchScriptPotential),
    "torch-export": (program.write, ProgramPotential),
}
DTYPES = {"fp32": torch.float32, "fp64": torch.float64}


def sample_student(revision: int, precision: str = "fp64", *, layers: int = 2) -> Student:
    """Its forces are a thousand times what float32 may get wrong, so that tolerances tell."""
    torch.manual_seed(revision)
    config = {"hidden_dim": 8, "num_interactions": layers, "num_rbf": 4, "revision": revision}
    student = build("StudentForceField", {**config, "max_z": 20}).requires_grad_(False)
    student.get_parameter("energy_head.4.weight").mul_(30.0)
    if student.reference_energies is not None:
        student.reference_energies.uniform_(-100.0, 0.0)
    return student.to(DTYPES[precision]).eval()


def manifest_of(student: Student, format_name: str, precision: str, **facts: Any) -> Manifest:
    """What a manifest says that a runtime reads."""
    inside = format_name.endswith("-molecule")
    return Manifest.model_construct(
        format=format_name,
        precision=precision,
        cutoff=student.cutoff,
        max_z=student.max_z,
        honours_cells=student.honours_cells and not inside,
        neighbours="inside" if inside else "input",
        **facts,
    )


def opened(student: Student, format_name: str, precision: str, folder: Path) -> Potential:
    """A student, in the dtype of the precision, written in a format and opened."""
    write, runtime = FORMATS[format_name]
    path = folder / f"{format_name}-{precision}"
    written = asdict(write(student, path))
    return runtime(path, manifest_of(student, format_name, precision, **written))


def problems(potential: Potential, student: Student, precision: str) -> list[str]:
    """Where a potential is not the student, at all sizes, again, and in two threads at once."""
    return verify(potential, student, elements=CHNO).problems(TOLERANCES[precision])
