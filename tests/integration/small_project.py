"""A project in miniature: a random student of a few hundred weights, a data set, and settings."""

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import torch

from mlffd.checkpoints.writing import save_checkpoint
from mlffd.structures import probes
from mlffd.structures.dataset import write_dataset
from mlffd.structures.structure import Structure
from mlffd.students import Student, build

ELEMENTS = (1, 6, 7, 8)

# A random student holds no molecule together.
SETTINGS = """\
[students.small]
checkpoint = "small.pt"
golden = "golden/small.json"
dataset = "data"
elements = ["H", "C", "N", "O"]
nve_picoseconds = 0.05
limits.nve_conservation = { stretch = 100, overlap = 1 }

[datasets.data]
path = "data.h5"
golden = "golden/data.json"
"""


@dataclass(frozen=True)
class Project:
    """The files of a project in a folder."""

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "mlffd.toml"

    @property
    def checkpoint(self) -> Path:
        """The only student, ``small``."""
        return self.folder / "small.pt"

    @property
    def dataset(self) -> Path:
        """The only data set, ``data``."""
        return self.folder / "data.h5"

    @property
    def record(self) -> Path:
        """The student's golden; not there before it is accepted."""
        return self.folder / "golden" / "small.json"

    def files(self) -> set[str]:
        """Everything that is there, relative to the folder."""
        return {str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file()}


def make_project(folder: Path) -> Project:
    project = Project(folder)
    project.settings.write_text(SETTINGS, encoding="utf-8")
    save_student(project.checkpoint)
    write_dataset(project.dataset, labelled_structures(), metadata={"method": "random numbers"})
    return project


def small_student(*, revision: int = 2, interactions: int = 1) -> Student:
    config = {"hidden_dim": 8, "num_interactions": interactions, "num_rbf": 4, "max_z": 20}
    torch.manual_seed(revision)
    student = build("StudentForceField", {**config, "revision": revision})
    with torch.no_grad():  # as training would, away from what an untrained row holds
        student.get_parameter("embedding.weight")[list(ELEMENTS)] *= 0.9
    return student


def save_student(path: Path, student: Student | None = None) -> None:
    """Write a student that claims to know hydrogen, carbon, nitrogen and oxygen."""
    save_checkpoint(path, student or small_student(), elements=ELEMENTS, training={})


def shift_energies(project: Project, by: float) -> None:
    """Change the student: the energy of every atom by so many eV, forces not at all."""
    student = small_student()
    with torch.no_grad():
        student.get_parameter("energy_head.4.bias").add_(by)
    save_student(project.checkpoint, student)


def labelled_structures(count: int = 24) -> list[Structure]:
    """Rattled molecules, far from each other's places: the labels are only numbers."""
    generator = np.random.default_rng(1)
    molecules = probes.molecules(frozenset(ELEMENTS))
    structures = []
    for index in range(count):
        molecule = probes.rattled(molecules[index % len(molecules)], seed=index)
        forces = generator.normal(size=molecule.positions.shape)
        structures.append(
            replace(
                molecule,
                positions=molecule.positions + index,
                name=f"{molecule.name}-{index}",
                energy=float(generator.normal()),
                forces=forces - forces.mean(axis=0),
            )
        )
    return structures


def break_splits(dataset: Path) -> None:
    """Let the structures end after the last atom."""
    with h5py.File(dataset, "r+") as file:
        splits = file["structures/atomic_numbers_splits"]
        splits[-1] = splits[-1] + 5
