"""Do structures stay independent: far apart in space, and side by side in a batch?"""

import numpy as np

from mlffd.checks.deviations import Comparison, deviations
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.potential import StructurePrediction, collate_for, predict, split
from mlffd.structures import probes
from mlffd.structures.structure import Structure

_FAR = 40.0  # Å between molecules, beyond any cutoff in use
_LARGE_BATCH = 300  # more structures than an 8-bit index can count


@check("size_consistency", concern="physics", kind=StudentSubject)
def check_size_consistency(subject: StudentSubject) -> Evidence:
    """Two molecules far apart have the sum of their energies, and their own forces.

    If this fails, it probably means that something is averaged or normalized over the whole
    structure (a mean instead of a sum, a layer norm over atoms, a global attention), or that the
    neighbour list goes beyond the cutoff.
    """
    molecules = subject.molecules
    pairs = list(zip(molecules, molecules[1:] + molecules[:1], strict=True))
    far = np.array([_FAR, 0.3 * _FAR, -0.2 * _FAR])
    together = predict(
        subject.potential, [probes.joined(a, probes.moved(b, far)) for a, b in pairs]
    )
    alone = dict(
        zip(
            (m.name for m in molecules),
            predict(subject.potential, molecules),
            strict=True,
        )
    )
    found = deviations(
        Comparison(
            f"{a.name} and {b.name}",
            StructurePrediction(
                alone[a.name].energy + alone[b.name].energy,
                np.concatenate([alone[a.name].forces, alone[b.name].forces]),
            ),
            both,
        )
        for (a, b), both in zip(pairs, together, strict=True)
    )
    return judge(
        found.criteria(),
        f"{_FAR:g} Å apart, molecules change each other's energy by at most "
        f"{found.energy_max:.2g} eV/atom and forces by {found.forces_max:.2g} eV/Å ({found.worst})",
        found.as_details(),
    )


@check("batch_invariance", concern="physics", kind=StudentSubject)
def check_batch_invariance(subject: StudentSubject) -> Evidence:
    """A structure's prediction does not depend on what else is in its batch, or how much.

    Mixed sizes with a lone atom and cells among them, both orders, and a batch of 300 structures.

    If this fails, it probably means that atoms see neighbours of another structure (a missing
    structure index), that energies are summed with wrong boundaries, or that a state is kept from
    one call to the next.
    """
    potential = subject.potential
    lone = probes.atom(min(subject.probe_elements))
    mixed = [*subject.molecules[:4], lone, *subject.molecules[4:]]
    if potential.honours_cells:
        mixed = [*mixed, *subject.crystals, subject.molecules[1]]
    smallest = subject.molecules[-1]
    many = [probes.rattled(smallest, seed) for seed in range(_LARGE_BATCH)]
    comparisons = []

    def in_one_batch(structures: list[Structure]) -> list[StructurePrediction]:
        batch = collate_for(potential, structures)
        return split(potential(batch, stress=potential.has_stress), structures)

    for structures in (mixed, mixed[::-1], many):
        # Some of a large batch, first and last among them: one call each is what takes time.
        stride = max(1, len(structures) // 25)
        chosen = {*range(0, len(structures), stride), len(structures) - 1}
        together = in_one_batch(structures)
        for index in sorted(chosen):
            (alone,) = in_one_batch([structures[index]])
            name = f"{structures[index].name}, number {index + 1} of {len(structures)}"
            comparisons.append(Comparison(name, alone, together[index]))
    found = deviations(comparisons)
    stresses = [
        np.abs(alone.stress - together.stress).max()
        for _, alone, together in comparisons
        # A molecule has no stress: NaN alone must be NaN in company.
        if alone.stress is not None
        and together.stress is not None
        and not (np.isnan(alone.stress).all() and np.isnan(together.stress).all())
    ]
    stress_criteria = (
        [Criterion("stress_max", float(np.max(stresses)), 1e-10, "eV/Å³")] if stresses else []
    )
    return judge(
        [*found.criteria(), *stress_criteria],
        f"a batch changes energies by at most {found.energy_max:.2g} eV/atom and forces by "
        f"{found.forces_max:.2g} eV/Å ({found.worst})",
        found.as_details(),
    )
