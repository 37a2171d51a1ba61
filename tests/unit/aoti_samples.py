"""A toy student compiled ahead of time: once for all tests and all workers, for it takes long."""

import dataclasses
import os
from pathlib import Path

import torch
from filelock import FileLock

from mlffd.export.aoti import write
from mlffd.export.manifest import (
    Deviation,
    Manifest,
    manifest_path,
    sha256_of,
    write_manifest,
)
from mlffd.students import Student, build

_LOOSE = Deviation(energy_per_atom=1.0, forces=1.0, forces_rms=1.0)


def toy_student() -> Student:
    """A very small student, in float32, with forces of some eV/Å."""
    torch.manual_seed(5)
    student = build("StudentForceField", {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4})
    with torch.no_grad():
        student.get_parameter("energy_head.4.weight").mul_(1000.0)
    assert student.reference_energies is not None
    student.reference_energies.uniform_(-100.0, 0.0)
    return student.eval()


def toy_package(folder: Path) -> Path:
    """The package of the toy student with its manifest; is compiled if it is not there.

    Raises:
        MissingPackageError: there is no C++ compiler.
    """
    path = folder / "toy-aoti-fp32.pt2"
    with FileLock(f"{path}.lock"):
        if not manifest_path(path).exists():
            student = toy_student()
            written = dataclasses.asdict(write(student, path))
            write_manifest(path, _manifest(student, path, **written))
    return path


def shared_folder(own: Path) -> Path:
    """Where workers of pytest-xdist, whose folders stand side by side, all look."""
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _manifest(student: Student, path: Path, **written: object) -> Manifest:
    return Manifest(
        format="aoti",
        precision="fp32",
        student="toy",
        architecture=student.architecture,
        revision=student.revision,
        config=student.config,
        weights=f"sha256:{'0' * 64}",
        cutoff=student.cutoff,
        max_z=student.max_z,
        elements=None,
        honours_cells=student.honours_cells,
        neighbours="input",
        size=path.stat().st_size,
        sha256=sha256_of(path),
        tolerance=_LOOSE,
        measured=_LOOSE,
        snippet="",
        created={},
        **written,
    )
