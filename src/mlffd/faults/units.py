"""Faults of units, and of signs: the right function, in other words."""

from collections.abc import Iterator

from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import scaled, with_prediction

# CODATA 2018, rounded.
#: eV
HARTREE = 27.2114
#: eV
KCAL_PER_MOL = 0.0433641
#: Å
BOHR = 0.529177


@fault(caught_by=["forces_are_gradient", "matches_golden"])
def forces_sign(healthy: Healthy) -> Iterator[StudentSubject]:
    """Forces are the gradient of the energy, not its negative.

    The most usual slip when forces are taken from automatic differentiation.
    """
    yield with_prediction(healthy.student(), lambda batch, p: scaled(p, forces=-1.0))


@fault(
    caught_by=["forces_are_gradient", "matches_golden"],
    sizes=[1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-2],
    unit="relative",
    limit=1e-6,
    seen_in="PASSIONLab/OpenEquivariance#211",
)
def forces_scaled(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Forces are too large.

    Forces in a unit that is nearly the same, or by an accelerated kernel that is not the gradient.
    """
    yield with_prediction(healthy.student(), lambda batch, p: scaled(p, forces=1.0 + size))


@fault(caught_by=["forces_are_gradient", "matches_golden", "accuracy"])
def energies_in_kilocalories(healthy: Healthy) -> Iterator[StudentSubject]:
    """Energies are in kcal/mol, forces are right.

    A conversion for a molecular dynamics program that happens inside the model.
    """
    yield with_prediction(healthy.student(), lambda b, p: scaled(p, energy=1 / KCAL_PER_MOL))


@fault(caught_by=["matches_golden", "accuracy"])
def everything_in_hartree(healthy: Healthy) -> Iterator[StudentSubject]:
    """Energies are in Hartree and forces in Hartree/Å.

    Consistent with each other, so that no physics tells: only what was seen before does.
    """
    yield with_prediction(
        healthy.student(), lambda b, p: scaled(p, energy=1 / HARTREE, forces=1 / HARTREE)
    )


@fault(caught_by=["forces_are_gradient", "matches_golden", "accuracy"])
def forces_per_bohr(healthy: Healthy) -> Iterator[StudentSubject]:
    """Forces are in eV/Bohr.

    A quantum chemistry program's unit of length.
    """
    yield with_prediction(healthy.student(), lambda b, p: scaled(p, forces=BOHR))
