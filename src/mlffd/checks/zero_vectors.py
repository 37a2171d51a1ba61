"""Is the student well behaved where symmetry makes a vector feature exactly zero?"""

import numpy as np
import torch

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import Potential, collate_for, predict
from mlffd.structures import probes
from mlffd.structures.structure import Structure

#: Å. With epsilon = 1e-6 Å² under the root, forces may change by 1e6 eV/Å per Å and be smooth:
#: over this step by 1e-4 eV/Å. A kink changes it by as much as over any other step.
_STEP = 1e-10
_DIRECTIONS = 32
_SEED = 3


def _force_jump(potential: Potential, structure: Structure) -> float:
    """Largest change of an atom's force from one side of the symmetric point to the other, eV/Å.

    A kink of the norm shows as opposite forces at opposite tiny displacements, in any direction;
    a special treatment of the point itself, as forces there that are not the mean of both sides.
    """
    generator = np.random.default_rng(_SEED)
    shifts = _STEP * generator.normal(size=(_DIRECTIONS, *structure.positions.shape))
    (at_point,) = predict(potential, [structure])
    one_side, other_side = (
        np.stack(
            [
                p.forces
                for p in predict(
                    potential, [structure.with_positions(structure.positions + s) for s in signed]
                )
            ]
        )
        for signed in (shifts, -shifts)
    )
    across = np.linalg.norm(one_side - other_side, axis=2)
    off_mean = np.linalg.norm((one_side + other_side) / 2 - at_point.forces, axis=2)
    return float(np.maximum(across, off_mean).max())


def _bad_gradients(potential: EagerPotential, structure: Structure) -> int:
    """How many entries of the parameter gradient of a force loss are not finite."""
    parameters = list(potential.student.parameters())
    batch = collate_for(potential, [structure])
    try:
        potential.student.requires_grad_(True)
        loss = (potential.student(batch, create_graph=True).forces ** 2).sum()
        # Weights that do not touch the forces (of an element that is not there) get zeros.
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    finally:
        potential.student.requires_grad_(False)
    return sum(int((~torch.isfinite(g)).sum()) for g in gradients)


@check("zero_vector_safety", concern="physics", kind=StudentSubject)
def check_zero_vector_safety(subject: StudentSubject) -> Evidence:
    """At symmetric molecules forces are continuous, and a force loss can be differentiated.

    CO2, CH4, SF6 and others, whose central atom has vector features that cancel to exactly zero,
    and a lone atom.

    If this fails, it probably means that a norm is taken without an epsilon under the root. Its
    derivative jumps at zero, and its second derivative is NaN: one such structure in a batch
    turns every weight into NaN.
    """
    structures = probes.symmetric(subject.probe_elements)
    potential = subject.potential
    jumps = {s.name: _force_jump(potential, s) for s in structures}
    jump = float(np.max(list(jumps.values())))
    criteria = [Criterion("force_jump", jump, 1e-3, "eV/Å")]
    details: dict[str, object] = {"force_jumps": jumps}
    message = f"forces jump by at most {jump:.3g} eV/Å ({max(jumps, key=lambda n: jumps[n])})"
    # Only what PyTorch runs itself can be trained; an exported file has no such gradient.
    if isinstance(potential, EagerPotential):
        bad = {s.name: _bad_gradients(potential, s) for s in structures}
        criteria.append(Criterion("gradients_not_finite", sum(bad.values()), 0))
        details["gradients_not_finite"] = bad
        message += f"; the force loss has {sum(bad.values())} gradients that are not finite"
    return judge(criteria, message, details)
