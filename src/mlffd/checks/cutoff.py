"""Is the energy smooth where a neighbour enters or leaves the cutoff?"""

from itertools import combinations_with_replacement

import numpy as np

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.potential import predict
from mlffd.structures import probes
from mlffd.structures.structure import Structure

_STEP = 1e-5  # Å to either side of the cutoff


def _approached(molecule: Structure, element: int, distance: float) -> Structure:
    """A molecule, and an atom ``distance`` Å outward from its outermost atom."""
    arms = molecule.positions - molecule.positions.mean(axis=0)
    lengths = np.linalg.norm(arms, axis=1)
    outermost = int(np.argmax(lengths))
    outward = arms[outermost] / lengths[outermost]
    visitor = probes.atom(element)
    visitor = visitor.with_positions((molecule.positions[outermost] + distance * outward)[None, :])
    return probes.joined(molecule, visitor, name=f"{molecule.name} + {visitor.name}")


@check("smooth_at_cutoff", concern="physics", kind=StudentSubject)
def check_smooth_at_cutoff(subject: StudentSubject) -> Evidence:
    """Energy and forces do not jump when a neighbour crosses the cutoff.

    Every pair of elements alone, and an atom approaching a molecule: there the jump also passes
    through the features of the molecule's atoms.

    If this fails, it probably means that a bias lets the filter survive where its radial basis is
    already zero, that the envelope is missing, or that neighbour list and envelope use different
    cutoffs. Molecular dynamics then gains or loses energy at every crossing.
    """
    cutoff = subject.potential.cutoff
    elements = sorted(subject.probe_elements)
    pairs = list(combinations_with_replacement(elements, 2))
    visits = [(m, z) for m in subject.molecules[:4] for z in elements]

    def at(distance: float) -> list[Structure]:
        return [probes.pair(a, b, distance) for a, b in pairs] + [
            _approached(m, z, distance) for m, z in visits
        ]

    names = [s.name for s in at(cutoff)]
    inside = predict(subject.potential, at(cutoff - _STEP))
    outside = predict(subject.potential, at(cutoff + _STEP))
    # The slope itself changes the energy by force x 2 step: not a jump. Only the last atom moves;
    # the forces within a molecule would excuse a jump of 1e-4 eV.
    energy = np.array(
        [
            abs(i.energy - o.energy) - 2 * _STEP * np.linalg.norm(i.forces[-1])
            for i, o in zip(inside, outside, strict=True)
        ]
    ).clip(min=0.0)
    force = np.array(
        [np.abs(i.forces - o.forces).max() for i, o in zip(inside, outside, strict=True)]
    )
    pair_energy, visit_energy = energy[: len(pairs)], energy[len(pairs) :]
    return judge(
        [
            Criterion("energy_jump", float(energy.max()), 1e-8, "eV"),
            Criterion("force_jump", float(force.max()), 1e-4, "eV/Å"),
        ],
        f"crossing {cutoff:g} Å, the energy of a pair jumps by {pair_energy.mean():.3g} eV on "
        f"average and {pair_energy.max():.3g} at most ({names[int(np.argmax(pair_energy))]})",
        {
            "pair_energy_mean": pair_energy.mean(),
            "pair_energy_max": pair_energy.max(),
            "molecule_energy_max": visit_energy.max(),
            "force_max": force.max(),
            "worst": names[int(np.argmax(energy))],
        },
    )
