"""Do periodic images count, and is the stress the strain derivative of the energy?"""

import numpy as np

from mlffd.checks.deviations import Comparison, deviations
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.forces import differentiate
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.potential import StructurePrediction, predict
from mlffd.structures.structure import FloatArray, Structure

_SEED = 11


def _unwrapped(structure: Structure, generator: np.random.Generator) -> Structure:
    """Every atom moved by whole lattice vectors, in the directions that repeat."""
    assert structure.cell is not None
    images = generator.integers(-2, 3, size=structure.positions.shape) * structure.pbc
    return structure.with_positions(structure.positions + images @ structure.cell)


def _repeated(structure: Structure, direction: int) -> Structure:
    """Two cells side by side, described as one; the same crystal."""
    assert structure.cell is not None
    cell = structure.cell.copy()
    cell[direction] *= 2.0
    return Structure(
        np.tile(structure.numbers, 2),
        np.concatenate([structure.positions, structure.positions + structure.cell[direction]]),
        cell=cell,
        pbc=structure.pbc,
        name=f"{structure.name}, doubled along {'abc'[direction]}",
    )


def _rebased(structure: Structure) -> Structure:
    """The same lattice in other vectors: a + b for a; twice as long a one where it ends."""
    assert structure.cell is not None
    cell = structure.cell.copy()
    cell[0] += cell[1]
    cell[~structure.pbc] *= 2.0
    return Structure(
        structure.numbers,
        structure.positions,
        cell=cell,
        pbc=structure.pbc,
        name=f"{structure.name}, another basis",
    )


@check("periodic_images", concern="physics", kind=StudentSubject)
def check_periodic_images(subject: StudentSubject) -> Evidence:
    """The same crystal has the same energy per atom and forces, however its cell is described.

    Atoms moved by lattice vectors, other lattice vectors and doubled cells, for skewed cells,
    cells smaller than the cutoff, and slabs.

    If this fails, it probably means that the cell is ignored, that only the nearest image of each
    atom is seen, or that shifts have the wrong sign or belong to other edges.
    """
    generator = np.random.default_rng(_SEED)
    crystals = subject.crystals
    expected = predict(subject.potential, crystals)
    comparisons = []
    for crystal, reference in zip(crystals, expected, strict=True):
        (unwrapped,) = predict(subject.potential, [_unwrapped(crystal, generator)])
        comparisons.append(
            Comparison(f"{crystal.name}, atoms moved by lattice vectors", reference, unwrapped)
        )
        rebased = _rebased(crystal)
        (same,) = predict(subject.potential, [rebased])
        comparisons.append(Comparison(rebased.name, reference, same))
        doubled = [_repeated(crystal, d) for d in range(3) if crystal.pbc[d]]
        twice = StructurePrediction(2 * reference.energy, np.tile(reference.forces, (2, 1)))
        comparisons += [
            Comparison(s.name, twice, p)
            for s, p in zip(doubled, predict(subject.potential, doubled), strict=True)
        ]
    found = deviations(comparisons)
    return judge(
        found.criteria(),
        f"another description of the same crystal changes its energy by at most "
        f"{found.energy_max:.3g} eV/atom and forces by {found.forces_max:.3g} eV/Å ({found.worst})",
        found.as_details(),
    )


def _no_stress(subject: StudentSubject) -> str | None:
    if not subject.potential.has_stress:
        return "the student gives no stress"
    return None


def _numerical_stress(subject: StudentSubject, crystal: Structure) -> FloatArray:
    """``(dE/dstrain) / volume`` for all nine components, eV/Å³."""
    assert crystal.cell is not None
    cell = crystal.cell

    def strained(k: int, by: float) -> Structure:
        deformation = np.eye(3)
        deformation.flat[k] += by
        return Structure(
            crystal.numbers,
            crystal.positions @ deformation,
            cell=cell @ deformation,
            pbc=crystal.pbc,
        )

    volume = float(abs(np.linalg.det(cell)))
    return differentiate(subject, strained, 9, 1e-4).reshape(3, 3) / volume


@check("stress_is_strain_derivative", concern="physics", kind=StudentSubject, unless=_no_stress)
def check_stress_is_strain_derivative(subject: StudentSubject) -> Evidence:
    """The stress equals the numerical derivative of the energy with respect to strain.

    If this fails, it probably means a wrong sign (pressure is minus a third of the trace), a
    missing or double counted volume, a transposed component, or a virial that forgets the shifts
    of periodic images. Cells then relax to a wrong volume.
    """
    crystals = [c for c in subject.crystals if c.pbc.all()]
    errors = {}
    for crystal, prediction in zip(
        crystals, predict(subject.potential, crystals, stress=True), strict=True
    ):
        assert prediction.stress is not None
        numerical = _numerical_stress(subject, crystal)
        errors[crystal.name] = float(np.abs(prediction.stress - numerical).max())
    worst = float(np.max(list(errors.values())))
    return judge(
        [Criterion("stress_max", worst, 1e-6, "eV/Å³")],
        f"stress and numerical strain derivative differ by at most {worst:.2g} eV/Å³",
        {"by_structure": errors},
    )
