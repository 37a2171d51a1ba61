"""Small students and batches of all awkward sizes, for tests of exports."""

import torch
from ase.build import bulk, molecule

from mlffd.structures.structure import Structure
from mlffd.students import Student, build


def small_student(revision: int, dtype: torch.dtype = torch.float64) -> Student:
    """A student with random weights: exports mean the same whatever the weights are."""
    torch.manual_seed(revision)
    config = {"hidden_dim": 8, "num_interactions": 2, "num_rbf": 4, "revision": revision}
    student = build("StudentForceField", config).to(dtype)
    if student.reference_energies is not None:
        student.reference_energies.uniform_(-100.0, 0.0)
    return student.eval().requires_grad_(False)


WATER = Structure.from_atoms(molecule("H2O"))
ETHANOL = Structure.from_atoms(molecule("CH3CH2OH"))
OXYGEN_ATOM = Structure.from_atoms(molecule("O"))
DIATOMIC = Structure.from_atoms(molecule("CO"))


def skewed_cell() -> Structure:
    """Smaller than the cutoff and skewed: every atom has images of itself for neighbours."""
    atoms = bulk("C", "diamond", a=3.567)
    atoms.rattle(0.05, seed=1)
    return Structure.from_atoms(atoms)


BATCHES = {
    "one atom": [OXYGEN_ATOM],
    "two atoms": [DIATOMIC],
    "three atoms": [WATER],
    "nine atoms": [ETHANOL],
    "isolated atoms only": [OXYGEN_ATOM, OXYGEN_ATOM],
    "isolated first": [OXYGEN_ATOM, WATER, ETHANOL],
    "isolated in the middle": [WATER, OXYGEN_ATOM, ETHANOL],
    "isolated last": [WATER, ETHANOL, OXYGEN_ATOM],
    "many": [WATER, ETHANOL, DIATOMIC] * 4,
}
