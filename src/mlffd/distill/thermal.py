"""A minimum of a molecule, and thermal structures around it, on the teacher's own surface."""

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.optimize import BFGS

from mlffd.distill.optional import import_optional
from mlffd.errors import InputError
from mlffd.structures.structure import FloatArray

METHOD = "GFN2-xTB"

#: Femtoseconds; the fastest vibration, H-H, has a period of 8.
TIME_STEP = 1.0

#: Per femtosecond: in `STEPS` five relaxation times pass.
FRICTION = 0.05

STEPS = 100

#: eV/Å; thermal structures do not need a better minimum.
RELAXED = 0.02


def minimum(smiles: str, seed: int) -> Atoms:
    """A molecule with explicit hydrogens, embedded by RDKit's ETKDG and relaxed with GFN2-xTB.

    RDKit's force fields are of no use here: they give N2 a bond of 1.46 Å.

    Raises:
        InputError: RDKit or tblite is missing, or RDKit cannot read or embed the SMILES.
    """
    chem = import_optional("rdkit.Chem")
    distance_geometry = import_optional("rdkit.Chem.rdDistGeom")
    molecule = chem.MolFromSmiles(smiles)
    if molecule is None:
        raise InputError(f"RDKit cannot read the SMILES {smiles!r}")
    molecule = chem.AddHs(molecule)
    if distance_geometry.EmbedMolecule(molecule, randomSeed=seed) != 0:
        raise InputError(f"RDKit cannot embed {smiles!r} with seed {seed}")
    atoms = Atoms(
        numbers=[atom.GetAtomicNum() for atom in molecule.GetAtoms()],
        positions=molecule.GetConformer().GetPositions(),
    )
    atoms.calc = import_optional("tblite.ase").TBLite(method=METHOD, verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=RELAXED, steps=200)
    return atoms


def thermal_positions(start: Atoms, temperature: float, rng: np.random.Generator) -> FloatArray:
    """Where the atoms are after 100 fs of Langevin dynamics from a minimum, Å, ``[N, 3]``.

    Args:
        start: not changed.
        temperature: K.
        rng: decides everything that is random.
    """
    atoms = start.copy()
    atoms.calc = import_optional("tblite.ase").TBLite(method=METHOD, verbosity=0)
    spread = np.sqrt(atoms.get_masses() * units.kB * temperature)  # Maxwell and Boltzmann
    atoms.set_momenta(spread[:, None] * rng.normal(size=(len(atoms), 3)))
    Langevin(
        atoms,
        TIME_STEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
    ).run(STEPS)
    positions: FloatArray = atoms.positions
    return positions
