"""Labels: what a teacher says about structures, or why it says nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, PropertyNotImplementedError
from ase.data import ground_state_magnetic_moments
from ase.stress import voigt_6_to_full_3x3_stress

from mlffd.distill.parts import Part, write_part
from mlffd.distill.teacher import Teacher, load_teacher
from mlffd.structures.structure import FloatArray, Structure

#: Characters of a reason; some programs explain themselves at length.
LONGEST_REASON = 200


class LabelError(Exception):
    """A structure has no label; the message says why."""


@dataclass(frozen=True)
class Chunk:
    """Structures that one process labels at a time.

    Attributes:
        structures: what to label.
        teacher: see `load_teacher`.
    """

    structures: Sequence[Structure]
    teacher: str


def write_labels(chunk: Chunk, path: Path) -> None:
    """Label a chunk and write it as a part.

    Raises:
        InputError: see `load_teacher`.
    """
    write_part(path, label_all(chunk.structures, load_teacher(chunk.teacher)))


def label_all(structures: Sequence[Structure], teacher: Teacher) -> Part:
    """Label what can be labelled; the rest are failures."""
    labelled: list[Structure] = []
    failures: list[tuple[str, str]] = []
    for structure in structures:
        try:
            labelled.append(label(structure, teacher))
        except LabelError as error:
            failures.append((structure.label, str(error)))
    return Part(labelled, failures)


def label(structure: Structure, teacher: Teacher) -> Structure:
    """Energy, forces and, of a periodic structure, stress where the teacher has it.

    A single atom has the spin of its ground state; anything else is neutral with the lowest spin,
    as far as the teacher asks.

    Raises:
        LabelError: the structure repeats in one or two directions only (tblite, for one, would
            silently compute the threefold periodic one), the teacher fails, whatever it raises, or
            what it says is not finite.
    """
    if structure.is_periodic and not structure.pbc.all():
        raise LabelError(f"pbc: {structure.pbc.tolist()}, expected all or none")
    atoms = Atoms(
        numbers=structure.numbers,
        positions=structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
    )
    if len(structure) == 1 and not structure.is_periodic:
        atoms.set_initial_magnetic_moments(ground_state_magnetic_moments[structure.numbers])
    try:
        calculator = teacher()
        atoms.calc = calculator
        labelled = replace(
            structure,
            energy=float(atoms.get_potential_energy()),
            forces=atoms.get_forces(),
            stress=_stress(atoms, calculator) if structure.is_periodic else None,
        )
    except Exception as error:  # teachers are anybody's
        raise LabelError(_one_line(f"{type(error).__name__}: {error}")) from error
    for key in ("energy", "forces", "stress"):
        value = getattr(labelled, key)
        if value is not None and not np.isfinite(value).all():
            raise LabelError(f"{key}: not finite")
    return labelled


def _stress(atoms: Atoms, calculator: BaseCalculator) -> FloatArray | None:
    """eV/Å³, ``[3, 3]``; None if the calculator has none."""
    if "stress" not in calculator.implemented_properties:
        return None
    try:
        stress: FloatArray = voigt_6_to_full_3x3_stress(atoms.get_stress())
    except PropertyNotImplementedError:
        return None
    return stress


def _one_line(text: str) -> str:
    """What a terminal can be shown, and not too much of it."""
    joined = " ".join(text.split())
    return "".join(character for character in joined if character.isprintable())[:LONGEST_REASON]
