"""Teachers for tests: other processes import them from here."""

import time
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.lj import LennardJones


class Springs(Calculator):
    """Atoms on springs at lattice points: forces do not add up to zero."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        if "stress" in properties:
            raise PropertyNotImplementedError("springs have no stress")
        positions = self.atoms.positions
        self.results = {"energy": float((positions**2).sum() / 2), "forces": -positions}


def springs() -> Calculator:
    return Springs()


def lennard_jones() -> Calculator:
    return LennardJones(sigma=1.5, epsilon=0.1, rc=4.0)


def slow_lennard_jones() -> Calculator:
    time.sleep(0.02)
    return lennard_jones()


class Moody(LennardJones):
    """Fails for structures with fluorine, and knows nothing of chlorine."""

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        if 9 in self.atoms.numbers:
            raise ArithmeticError("no\nconvergence \x1b[2J")
        if 17 in self.atoms.numbers:
            self.results["forces"] = np.full((len(self.atoms), 3), np.nan)


def moody() -> Calculator:
    return Moody(sigma=1.5, epsilon=0.1, rc=4.0)


def failing() -> Calculator:
    raise RuntimeError("no licence")


def no_calculator() -> str:
    return "GFN2-xTB"


number = 3
