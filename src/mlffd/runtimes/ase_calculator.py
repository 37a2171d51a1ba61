"""A student as an ASE calculator."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from mlffd.runtimes.loading import load_potential
from mlffd.runtimes.potential import Potential, predict
from mlffd.structures.structure import Structure


class Calculator(AseCalculator):
    """Energy (eV), forces (eV/Å) and, for cells periodic in three directions, stress (eV/Å³).

    Args:
        potential: a checkpoint's path, or any potential.
        device: to compute on, if a path is given.
        dtype: to compute in, if a path is given.

    Raises:
        InputError: the file is not a usable checkpoint, or the device is not there.
    """

    # "free_energy": a potential has no electronic entropy, and some of ASE's optimizers ask for it.
    implemented_properties: list[str] = [  # noqa: RUF012 - ASE's
        "energy",
        "free_energy",
        "forces",
        "stress",
    ]

    def __init__(
        self,
        potential: Potential | str | os.PathLike[str],
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if isinstance(potential, str | os.PathLike):
            potential = load_potential(potential, device=device, dtype=dtype)
        self.potential: Potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """See ASE. Raises PropertyNotImplementedError for the stress of what has no volume."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        structure = Structure.from_atoms(self.atoms)
        # Asked for or not: it comes with the forces, and asking later would compute twice.
        has_stress = self.potential.has_stress and bool(structure.pbc.all())
        if "stress" in properties and not has_stress:
            raise PropertyNotImplementedError(
                "stress needs a periodic cell in three directions and a potential that has one"
            )
        (prediction,) = predict(self.potential, [structure], stress=has_stress)
        results: dict[str, Any] = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "forces": prediction.forces,
        }
        if prediction.stress is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress)
        self.results = results
