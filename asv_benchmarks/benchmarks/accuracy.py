"""How wrong the students of the revision are: speed is to be read beside it."""

from functools import cache
from typing import NamedTuple

import numpy as np

from mlffd import Dataset
from mlffd.runtimes.potential import predict

from .common import DATA, STUDENTS, eager


class _Errors(NamedTuple):
    forces: float
    energy: float


@cache
def _errors(student: str) -> _Errors:
    """Root mean squares over the golden set, of eager float32."""
    potential = eager(student)
    with Dataset(DATA) as data:
        structures = list(data)
    found = predict(potential, structures)
    pairs = list(zip(found, structures, strict=True))
    forces = np.concatenate([p.forces - s.forces for p, s in pairs])
    energies = np.array([(p.energy - s.energy) / len(s) for p, s in pairs])
    return _Errors(float(np.sqrt(np.mean(forces**2))), float(np.sqrt(np.mean(energies**2))))


class Forces:
    """Components of forces, against the labels."""

    version = "1"
    unit = "eV/Å"
    param_names = ("student",)
    params = (STUDENTS,)

    def setup(self, student: str) -> None:
        """Predict, once."""
        self.errors = _errors(student)

    def track_rmse(self, _: str) -> float:
        """eV/Å."""
        return self.errors.forces


class Energy:
    """Energies per atom, against the labels."""

    version = "1"
    unit = "eV/atom"
    param_names = ("student",)
    params = (STUDENTS,)

    def setup(self, student: str) -> None:
        """Predict, once."""
        self.errors = _errors(student)

    def track_rmse(self, _: str) -> float:
        """eV/atom."""
        return self.errors.energy
