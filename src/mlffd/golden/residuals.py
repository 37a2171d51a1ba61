"""How far predictions are from labels, structure by structure and atom by atom."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlffd.errors import InputError
from mlffd.golden.records import Predictions
from mlffd.structures.naming import molecules_of
from mlffd.structures.structure import FloatArray, Structure

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

#: eV/Å: a smaller force has no direction that anybody relies on.
LEAST_FORCE = 0.1


@dataclass(frozen=True, eq=False)
class Residuals:
    """Errors, prediction minus label, of M structures of A atoms in all.

    Attributes:
        structures: labelled.
        splits: int64 ``[M + 1]``, where each structure's atoms begin and end.
        numbers: atomic numbers ``[A]``.
        energy: eV, ``[M]``.
        forces: eV/Å, ``[A, 3]``.
        labels: the forces that are right, eV/Å, ``[A, 3]``.
        stress: mean absolute error over the nine components, eV/Å³, ``[M]``; zero where there is
            no label, or where the predictions have no stress.
        has_stress: ``[M]``, whether there is something to compare.
        molecules: index of each structure's molecule, or company of molecules, int64 ``[M]``. A
            structure whose name tells none stands for itself.
    """

    structures: Sequence[Structure]
    splits: IntArray
    numbers: IntArray
    energy: FloatArray
    forces: FloatArray
    labels: FloatArray
    stress: FloatArray
    has_stress: BoolArray
    molecules: IntArray

    def __len__(self) -> int:
        return len(self.energy)

    @cached_property
    def atom_counts(self) -> IntArray:
        """Int64 ``[M]``."""
        return np.diff(self.splits)

    @cached_property
    def energy_per_atom(self) -> FloatArray:
        """Error of the energy per atom, eV, ``[M]``."""
        return self.energy / self.atom_counts

    @cached_property
    def has_offset(self) -> BoolArray:
        """Whether another structure of the same molecule tells the molecule's offset, ``[M]``."""
        return np.bincount(self.molecules)[self.molecules] > 1

    @cached_property
    def relative_energy_per_atom(self) -> FloatArray:
        """`energy_per_atom` less its mean over the structures of the same molecule, eV, ``[M]``.

        What is left is the error of the energies of one molecule relative to each other; zero
        where not `has_offset`.
        """
        means = np.bincount(self.molecules, self.energy_per_atom) / np.bincount(self.molecules)
        with np.errstate(invalid="ignore"):  # of infinite energies
            return np.where(self.has_offset, self.energy_per_atom - means[self.molecules], 0.0)

    @cached_property
    def has_direction(self) -> BoolArray:
        """Which atoms are labelled with a force above `LEAST_FORCE`, ``[A]``."""
        large: BoolArray = np.linalg.norm(self.labels, axis=1) > LEAST_FORCE
        return large

    @cached_property
    def angles(self) -> FloatArray:
        """Between predicted and labelled force, degrees, ``[A]``.

        A predicted force of zero points nowhere: 90 degrees. Only where `has_direction` does it
        mean anything.
        """
        predicted = self.labels + self.forces
        # Scaled first, so that squares of huge forces do not overflow; infinite ones become NaN.
        with np.errstate(invalid="ignore"):
            scaled = predicted / np.maximum(np.abs(predicted).max(axis=1, keepdims=True), 1e-300)
            across = np.linalg.norm(np.cross(scaled, self.labels), axis=1)
            along = (scaled * self.labels).sum(axis=1)
        angles = np.degrees(np.arctan2(across, along))
        return np.where((predicted == 0).all(axis=1), 90.0, angles)

    def sums(self, per_atom: FloatArray) -> FloatArray:
        """Of values of atoms ``[A, ...]``, the sums over structures ``[M, ...]``."""
        with np.errstate(over="ignore", invalid="ignore"):
            sums: FloatArray = np.add.reduceat(per_atom, self.splits[:-1])
        return sums


def residuals(structures: Sequence[Structure], predictions: Predictions) -> Residuals:
    """Hold predictions against the labels of the same structures.

    Raises:
        InputError: a structure has no labels, or the predictions are of other structures.
    """
    if len(structures) != len(predictions):
        raise InputError(f"{len(predictions)} predictions for {len(structures)} structures")
    energies, labels = [], []
    for index, structure in enumerate(structures):
        if structure.energy is None or structure.forces is None:
            raise InputError(f"{structure.label}: no energy or no forces to compare with")
        forces = predictions.forces_of(index)
        if forces.shape != structure.forces.shape:
            raise InputError(
                f"{structure.label}: predictions are of another structure, of {len(forces)} atoms"
            )
        energies.append(structure.energy)
        labels.append(structure.forces)
    stress, has_stress = _stress_errors(structures, predictions)
    all_labels = np.concatenate(labels)
    with np.errstate(over="ignore"):  # infinite predictions are for the metrics to tell
        return Residuals(
            structures=structures,
            splits=predictions.splits,
            numbers=np.concatenate([s.numbers for s in structures]),
            energy=predictions.energy - np.array(energies),
            forces=predictions.forces - all_labels,
            labels=all_labels,
            stress=stress,
            has_stress=has_stress,
            molecules=_molecules(structures),
        )


def _stress_errors(
    structures: Sequence[Structure], predictions: Predictions
) -> tuple[FloatArray, BoolArray]:
    errors = np.zeros(len(structures))
    compared = np.zeros(len(structures), dtype=bool)
    if predictions.stress is not None:
        for index, structure in enumerate(structures):
            if structure.stress is not None:
                compared[index] = True
                errors[index] = np.abs(predictions.stress[index] - structure.stress).mean()
    return errors, compared


def _molecules(structures: Sequence[Structure]) -> IntArray:
    indices: dict[tuple[str, ...] | int, int] = {}
    keys = [molecules_of(s) or index for index, s in enumerate(structures)]
    return np.array([indices.setdefault(key, len(indices)) for key in keys], dtype=np.int64)
