"""The teacher: GFN2-xTB (Bannwarth, Ehlert and Grimme, J. Chem. Theory Comput. 15, 1652 (2019))."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
from ase import units
from ase.data import ground_state_magnetic_moments

from mlffd.distill.optional import import_optional
from mlffd.errors import InputError
from mlffd.structures.structure import Structure

METHOD = "GFN2-xTB"

#: tblite's factor on its convergence thresholds: 15 times more exact than 1, at 3% of the time.
ACCURACY = 0.1

#: eV/Å. Absurd geometries often converge without a complaint; nothing real pulls this hard.
MAX_FORCE = 40.0


class LabelError(Exception):
    """The teacher gives no label that is worth learning; the message says why."""


@dataclass(frozen=True)
class Labelled:
    """What `label_all` returns.

    Attributes:
        structures: with energy, forces and, if periodic, stress.
        failures: name and reason, of those without a label.
    """

    structures: list[Structure]
    failures: list[tuple[str, str]]


def provenance() -> dict[str, str | float]:
    """Where the labels come from, to be stored beside them."""
    return {
        "method": METHOD,
        "program": "tblite",
        "version": version("tblite"),
        "accuracy": ACCURACY,
    }


def label(structure: Structure) -> Structure:
    """Energy, forces and, of a periodic structure, stress; neutral, with the lowest spin.

    A single atom has the spin of its ground state instead.

    Every structure gets a calculator of its own: one that has seen another structure starts from
    its density, and the last digits would depend on the order.

    Raises:
        InputError: tblite is missing, or the structure repeats in one or two directions only:
            tblite would silently compute the threefold periodic one.
        LabelError: the calculation fails, or a force exceeds `MAX_FORCE`.
    """
    if structure.is_periodic and not structure.pbc.all():
        raise InputError(
            f"{structure.label}: pbc is {structure.pbc.tolist()}, expected all or none"
        )
    tblite = import_optional("tblite.interface")
    unpaired = None
    if len(structure) == 1 and not structure.is_periodic:
        unpaired = int(ground_state_magnetic_moments[structure.numbers[0]])
    lattice = structure.cell if structure.is_periodic else None
    try:
        calculator = tblite.Calculator(
            METHOD,
            structure.numbers,
            structure.positions / units.Bohr,
            uhf=unpaired,
            lattice=None if lattice is None else lattice / units.Bohr,
            periodic=None if lattice is None else structure.pbc,
        )
        calculator.set("verbosity", 0)
        calculator.set("accuracy", ACCURACY)
        result = calculator.singlepoint()
    except (RuntimeError, ValueError) as error:  # tblite's own errors derive from these
        raise LabelError(str(error)) from error
    forces = -result.get("gradient") * units.Hartree / units.Bohr
    energy = float(result.get("energy")) * units.Hartree
    if not np.isfinite(energy) or not np.isfinite(forces).all():
        raise LabelError("energy or forces are not finite")
    if (strongest := float(np.abs(forces).max())) > MAX_FORCE:
        raise LabelError(f"a force of {strongest:.0f} eV/Å is more than {MAX_FORCE:.0f}")
    stress = None
    if lattice is not None:
        volume = abs(float(np.linalg.det(lattice)))
        stress = result.get("virial") * units.Hartree / volume
    return replace(structure, energy=energy, forces=forces, stress=stress)


def label_all(structures: Iterable[Structure]) -> Labelled:
    """Label what can be labelled.

    Start Python with ``OMP_NUM_THREADS=1`` for labels that are the same bit for bit: with more
    threads the last digits depend on their timing, and in here it is too late to decide.

    Raises:
        InputError: see `label`.
    """
    done = Labelled(structures=[], failures=[])
    for structure in structures:
        try:
            done.structures.append(label(structure))
        except LabelError as error:
            done.failures.append((structure.label, str(error)))
    return done
