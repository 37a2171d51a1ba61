"""Labels that are not worth learning: absurd geometries often converge without a complaint."""

from collections.abc import Sequence

import numpy as np

from mlffd.structures.structure import FloatArray, Structure
from mlffd.structures.validation import LARGEST_NET_FORCE

#: eV/Å, of a component. Nothing real pulls this hard; the shortest bonds of scans and of rattled
#: structures do.
MAX_FORCE = 40.0

#: How far a structure's energy per atom may be from what its elements make, in robust standard
#: deviations (1.4826 median absolute deviations) from the median. Of the structures that
#: `mlffd data generate` makes, all are within 40: molecules of fluorine and oxygen are the most
#: unusual, then broken bonds. So this finds gross failures only, of 6 eV per atom or so: other
#: units, or a solution that has collapsed.
MAX_ENERGY_DEVIATION = 60.0

#: Steps of the fit, and eV per atom below which a residual is as good as any.
_FIT_STEPS = 30
_FIT_FLOOR = 1e-3


def believable(
    structures: Sequence[Structure],
) -> tuple[list[Structure], list[tuple[str, str]]]:
    """Labelled structures that are to be believed, and name and reason of those that are not."""
    sound: list[Structure] = []
    believed: list[Structure] = []
    failures: list[tuple[str, str]] = []
    for structure in structures:
        if (fault := force_fault(structure)) is None:
            sound.append(structure)
        else:
            failures.append((structure.label, fault))
    for structure, deviation in zip(sound, energy_deviations(sound), strict=True):
        if abs(deviation) <= MAX_ENERGY_DEVIATION:
            believed.append(structure)
            continue
        failures.append(
            (
                structure.label,
                f"energy: {deviation:+.0f} robust standard deviations from what its elements make,"
                f" expected at most {MAX_ENERGY_DEVIATION:.0f}",
            )
        )
    return believed, failures


def force_fault(structure: Structure) -> str | None:
    """Why forces are not to be believed; None if they are."""
    assert structure.forces is not None
    strongest = float(np.abs(structure.forces).max())
    if strongest > MAX_FORCE:
        return f"strong force: {strongest:.0f} eV/Å, expected at most {MAX_FORCE:.0f}"
    net = float(np.linalg.norm(structure.forces.sum(axis=0)))
    limit = LARGEST_NET_FORCE * len(structure) ** 0.5
    if net > limit:
        return f"net force: {net:.2g} eV/Å, expected zero within {limit:.2g} eV/Å"
    return None


def energy_deviations(structures: Sequence[Structure]) -> FloatArray:
    """How unusual energies are, ``[M]``, in robust standard deviations.

    That is the energy per atom less the one that the elements make, from its median, in 1.4826
    median absolute deviations. Energies of elements are fitted to all structures but single atoms,
    whose deviation is zero, with the least sum of absolute residuals (iteratively reweighted least
    squares): a few absurd energies do not move it.
    """
    if not structures:
        return np.zeros(0)
    sizes = np.array([len(structure) for structure in structures])
    energies = np.array([structure.energy for structure in structures]) / sizes
    elements = np.unique(np.concatenate([structure.numbers for structure in structures]))
    shares = np.array([(s.numbers[:, None] == elements).mean(axis=0) for s in structures])
    bound = sizes > 1
    deviations = np.zeros(len(structures))
    if not bound.any():
        return deviations
    weights = np.ones(int(bound.sum()))
    for _ in range(_FIT_STEPS):
        root = np.sqrt(weights)
        fit = np.linalg.lstsq(shares[bound] * root[:, None], energies[bound] * root, rcond=None)
        residuals = energies[bound] - shares[bound] @ fit[0]
        weights = 1.0 / np.maximum(np.abs(residuals), _FIT_FLOOR)
    centred = residuals - np.median(residuals)
    spread = 1.4826 * float(np.median(np.abs(centred)))
    deviations[bound] = centred / max(spread, _FIT_FLOOR)
    return deviations
