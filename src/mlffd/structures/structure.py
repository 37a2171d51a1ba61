"""One structure: atoms in space, with or without a cell and labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from numpy.typing import ArrayLike, NDArray

from mlffd.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms, and optionally a cell and labels.

    Arguments are converted to the dtypes below; arrays are not copied when they already fit.

    Attributes:
        numbers: atomic numbers, int64 ``[N]``.
        positions: Å, float64 ``[N, 3]``.
        cell: rows are lattice vectors in Å, float64 ``[3, 3]``; None for a molecule.
        pbc: bool ``[3]``, which lattice vectors repeat.
        energy: eV.
        forces: eV/Å, float64 ``[N, 3]``.
        stress: eV/Å³, float64 ``[3, 3]``, positive under tension (ASE's sign).
        name: what to call it in a report.

    Raises:
        InputError: shapes disagree, or the vectors of the periodic directions are missing, not
            finite or linearly dependent.
    """

    numbers: NDArray[np.int64]
    positions: FloatArray
    cell: FloatArray | None = None
    pbc: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(3, dtype=bool))
    energy: float | None = None
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    name: str = ""

    def __post_init__(self) -> None:
        count = len(np.atleast_1d(self.numbers))
        self._convert("numbers", np.int64, (count,))
        self._convert("positions", np.float64, (count, 3))
        self._convert("pbc", np.bool_, (3,))
        self._convert("cell", np.float64, (3, 3))
        self._convert("forces", np.float64, (count, 3))
        self._convert("stress", np.float64, (3, 3))
        if self.pbc.any() and not _are_independent(self.cell, self.pbc):
            raise InputError(
                f"{self.label}: periodic, but the cell's periodic vectors are missing, not finite"
                " or linearly dependent"
            )

    def _convert(self, key: str, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        value = getattr(self, key)
        if value is None:
            return
        array = np.asarray(value, dtype=dtype)
        if array.shape != shape:
            raise InputError(f"{self.label}: {key} has shape {array.shape}, expected {shape}")
        object.__setattr__(self, key, array)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def label(self) -> str:
        """The name, or something to call it by."""
        return self.name or f"structure of {len(np.atleast_1d(self.numbers))} atoms"

    @property
    def is_periodic(self) -> bool:
        """Whether any direction repeats."""
        return bool(self.pbc.any())

    def with_positions(self, positions: ArrayLike, *, name: str | None = None) -> Self:
        """The same atoms elsewhere, without labels: they belonged to the old positions."""
        return type(self)(
            numbers=self.numbers,
            positions=np.asarray(positions, dtype=np.float64),
            cell=self.cell,
            pbc=self.pbc,
            name=self.name if name is None else name,
        )

    @classmethod
    def from_atoms(cls, atoms: Atoms, *, name: str = "") -> Self:
        """From ASE; labels come from the attached calculator's stored results, if any."""
        cell = np.asarray(atoms.cell)
        stored = _stored_labels(atoms)
        stress = stored.get("stress")
        is_voigt = stress is not None and np.shape(stress) == (6,)
        return cls(
            numbers=atoms.numbers,
            positions=atoms.positions,
            cell=cell if cell.any() else None,
            pbc=atoms.pbc,
            energy=stored.get("energy"),
            forces=stored.get("forces"),
            stress=voigt_6_to_full_3x3_stress(stress) if is_voigt else stress,
            name=name or str(atoms.info.get("name", "")),
        )

    def to_atoms(self) -> Atoms:
        """To ASE, with labels on a `SinglePointCalculator`."""
        atoms = Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)
        if self.name:
            atoms.info["name"] = self.name
        if self.energy is not None or self.forces is not None or self.stress is not None:
            atoms.calc = SinglePointCalculator(
                atoms,
                energy=self.energy,
                forces=self.forces,
                stress=None if self.stress is None else full_3x3_to_voigt_6_stress(self.stress),
            )
        return atoms


def _are_independent(cell: FloatArray | None, pbc: NDArray[np.bool_]) -> bool:
    """Whether the vectors that repeat span as many directions as there are of them."""
    if cell is None or not np.isfinite(cell[pbc]).all():
        return False
    return bool(np.linalg.matrix_rank(cell[pbc]) == pbc.sum())


def _stored_labels(atoms: Atoms) -> Mapping[str, Any]:
    """What the calculator already holds for these positions; asking it would start a computation.

    A calculator keeps its results when the atoms move on; then they are somebody else's.
    """
    has_moved = getattr(atoms.calc, "check_state", lambda _: False)(atoms)
    results: Mapping[str, Any] = {} if has_moved else getattr(atoms.calc, "results", {})
    return results
