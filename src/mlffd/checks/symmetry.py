"""Does the prediction follow when the structure is turned, moved or renumbered?"""

import numpy as np
from scipy.spatial.transform import Rotation

from mlffd.checks.deviations import ENERGY_LIMIT, FORCE_LIMIT, Comparison, deviations
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.potential import StructurePrediction, predict
from mlffd.structures import probes
from mlffd.structures.structure import FloatArray, Structure

_ROTATIONS = 32
_SEED = 7
_SMALLEST = 5  # atoms


def _rotated(structure: Structure, matrix: FloatArray) -> Structure:
    return Structure(
        structure.numbers,
        structure.positions @ matrix.T,
        cell=None if structure.cell is None else structure.cell @ matrix.T,
        pbc=structure.pbc,
        name=structure.name,
    )


@check("rotation_equivariance", concern="physics", kind=StudentSubject)
def check_rotation_equivariance(subject: StudentSubject) -> Evidence:
    """Turning or mirroring a structure leaves its energy as it is and turns its forces.

    Molecules, and cells if the student knows them, in 32 random orientations, every other one
    mirrored.

    If this fails, it probably means that a layer mixes the x, y and z components of vector
    features by anything but a multiple of the identity, or treats one axis specially. Training
    with random rotations hides such a defect, it does not cure it.
    """
    structures = list(subject.molecules)
    if subject.potential.honours_cells:
        structures += subject.crystals
    matrices = Rotation.random(_ROTATIONS, rng=np.random.default_rng(_SEED)).as_matrix()
    matrices[::2] *= -1.0  # space has no handedness either
    expected = predict(subject.potential, structures)
    comparisons = []
    for matrix in matrices:
        found = predict(subject.potential, [_rotated(s, matrix) for s in structures])
        for structure, before, after in zip(structures, expected, found, strict=True):
            turned_back = StructurePrediction(after.energy, after.forces @ matrix)
            comparisons.append(Comparison(structure.name, before, turned_back))
    found_deviations = deviations(comparisons)
    # In a diatomic all energy is in one bond; per atom it would outweigh everything else.
    molecules = deviations(c for c in comparisons if len(c.expected.forces) > _SMALLEST)
    return judge(
        [
            # Of a defect the typical size says more than the worst case; both must be rounding.
            Criterion("energy_rms", molecules.energy_rms, ENERGY_LIMIT / 10, "eV/atom"),
            Criterion("forces_rms", molecules.forces_rms, FORCE_LIMIT / 10, "eV/Å"),
            *found_deviations.criteria(),
        ],
        f"turning changes energies by {1e3 * molecules.energy_rms:.3g} meV/atom and forces by "
        f"{molecules.forces_rms:.3g} eV/Å (RMS, more than {_SMALLEST} atoms); at most by "
        f"{1e3 * found_deviations.energy_max:.3g} meV/atom ({found_deviations.worst})",
        found_deviations.as_details(),
    )


@check("translation_invariance", concern="physics", kind=StudentSubject)
def check_translation_invariance(subject: StudentSubject) -> Evidence:
    """Moving a structure, by fractions of an Å and by a micrometre, changes nothing.

    If this fails, it probably means that absolute positions enter somewhere: a grid of fixed
    extent, positions rounded to a smaller dtype before differences are taken, or a wrong wrapping
    into the cell.
    """
    structures = list(subject.molecules)
    if subject.potential.honours_cells:
        structures += subject.crystals
    expected = predict(subject.potential, structures)
    comparisons = []
    for shift in ([0.37, -0.11, 0.83], [1e4, -1e3, 10.0]):
        found = predict(subject.potential, [probes.moved(s, np.array(shift)) for s in structures])
        comparisons += [
            Comparison(f"{s.name} moved by {shift}", before, after)
            for s, before, after in zip(structures, expected, found, strict=True)
        ]
    found_deviations = deviations(comparisons)
    return judge(
        # At 10,000 Å a float64 coordinate is exact to 2e-12 Å only: forces to 1e-10 eV/Å.
        found_deviations.criteria(force_limit=1e-7),
        f"moving changes the energy by at most {found_deviations.energy_max:.2g} eV/atom and the "
        f"forces by {found_deviations.forces_max:.2g} eV/Å ({found_deviations.worst})",
        found_deviations.as_details(),
    )


@check("permutation_invariance", concern="physics", kind=StudentSubject)
def check_permutation_invariance(subject: StudentSubject) -> Evidence:
    """Renumbering atoms renumbers forces and changes nothing else.

    If this fails, it probably means that a neighbour is dropped or counted twice depending on its
    index (a half list taken for a full one, the last edge lost), or that a sum over neighbours
    overwrites instead of adding.
    """
    structures = [s for s in subject.molecules if len(s) > 1]
    if subject.potential.honours_cells:
        structures += subject.crystals
    generator = np.random.default_rng(_SEED)
    orders = [generator.permutation(len(s)) for s in structures] + [
        np.arange(len(s))[::-1] for s in structures
    ]
    doubled = structures + structures
    shuffled = [
        Structure(s.numbers[o], s.positions[o], cell=s.cell, pbc=s.pbc, name=s.name)
        for s, o in zip(doubled, orders, strict=True)
    ]
    expected = predict(subject.potential, doubled)
    found = predict(subject.potential, shuffled)
    found_deviations = deviations(
        Comparison(s.name, StructurePrediction(before.energy, before.forces[o]), after)
        for s, o, before, after in zip(doubled, orders, expected, found, strict=True)
    )
    return judge(
        found_deviations.criteria(),
        f"renumbering changes the energy by at most {found_deviations.energy_max:.2g} eV/atom and "
        f"the forces by {found_deviations.forces_max:.2g} eV/Å ({found_deviations.worst})",
        found_deviations.as_details(),
    )
