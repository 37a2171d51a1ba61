"""Are the forces the gradient of the energy, and do they balance?"""

from collections.abc import Callable

import numpy as np

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.potential import predict
from mlffd.structures.structure import FloatArray, Structure

_SMALL = 20  # atoms; larger ones would take long, a component at a time
_NO_FORCE = 1e-3  # eV/Å, in rattled molecules, which are under several eV/Å

#: Fourth-order central difference: f'(x) ~ sum_k c_k f(x + k h) / h.
STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))


def differentiate(
    subject: StudentSubject,
    displaced: Callable[[int, float], Structure],
    count: int,
    step: float,
) -> FloatArray:
    """Derivatives ``[count]`` of the energy, numerically.

    The stencil is Abramowitz and Stegun, table 25.2: five points, error ``h^4 f^(5) / 30``.

    Args:
        subject: whose energy.
        displaced: the structure with its k-th degree of freedom moved by so much.
        count: of degrees of freedom.
        step: h, in the unit of the degree of freedom.
    """
    structures = [displaced(k, factor * step) for k in range(count) for factor, _ in STENCIL]
    energies = np.array([p.energy for p in predict(subject.potential, structures)])
    weights = np.array([weight for _, weight in STENCIL])
    derivatives: FloatArray = energies.reshape(count, len(STENCIL)) @ weights / step
    return derivatives


def _numerical_forces(subject: StudentSubject, structure: Structure) -> FloatArray:
    def displaced(k: int, by: float) -> Structure:
        positions = structure.positions.copy()
        positions.flat[k] += by
        return structure.with_positions(positions)

    count = structure.positions.size
    return -differentiate(subject, displaced, count, 5e-5).reshape(-1, 3)


@check("forces_are_gradient", concern="physics", kind=StudentSubject)
def check_forces_are_gradient(subject: StudentSubject) -> Evidence:
    """Forces equal the negative numerical gradient of the energy, component by component.

    If this fails, it probably means that energy and forces come from different functions: a
    detached tensor, a second output head, forces in other units, or a runtime that miscompiles
    the backward pass. Molecular dynamics then does not conserve energy.
    """
    structures = [m for m in subject.molecules if len(m) <= _SMALL]
    if subject.potential.honours_cells:
        structures += subject.crystals
    predictions = predict(subject.potential, structures)
    errors = {
        s.name: np.abs(p.forces - _numerical_forces(subject, s)).max()
        for s, p in zip(structures, predictions, strict=True)
    }
    worst = max(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    strongest = max(np.abs(p.forces).max() for p in predictions)
    return judge(
        [
            Criterion("forces_max", float(errors[worst]), 1e-6, "eV/Å"),
            # A constant energy has perfect gradients, and nothing else finds fault with it.
            Criterion("forces_absent", int(strongest < _NO_FORCE), 0),
        ],
        f"forces and numerical gradient differ by at most {errors[worst]:.2g} eV/Å ({worst})",
        {"by_structure": errors},
    )


@check("net_force_and_torque", concern="physics", kind=StudentSubject)
def check_net_force_and_torque(subject: StudentSubject) -> Evidence:
    """Forces on an isolated structure sum to zero, and so do their torques.

    If this fails, it probably means that the energy depends on where the molecule is (net force)
    or how it is turned (net torque; one call finds what `rotation_equivariance` needs many for),
    or that forces were rounded or post-processed.
    """
    structures = subject.molecules
    net_force: dict[str, float] = {}
    net_torque: dict[str, float] = {}
    for structure, prediction in zip(
        structures, predict(subject.potential, structures), strict=True
    ):
        arms = structure.positions - structure.positions.mean(axis=0)
        torque = np.cross(arms, prediction.forces).sum(axis=0)
        net_force[structure.name] = float(np.linalg.norm(prediction.forces.sum(axis=0)))
        net_torque[structure.name] = float(np.linalg.norm(torque))
    # NumPy's maximum keeps NaN, Python's may lose it.
    force, torque_size = (float(np.max(list(d.values()))) for d in (net_force, net_torque))
    return judge(
        [
            Criterion("net_force", force, 1e-9, "eV/Å"),
            Criterion("net_torque", torque_size, 1e-9, "eV"),
        ],
        f"net force at most {force:.2g} eV/Å, net torque at most {torque_size:.2g} eV",
        {"net_force": net_force, "net_torque": net_torque},
    )
