"""Molecules in space: conformers of RDKit, their minima, and a surface to move them on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from mlffd.distill.molecules import Molecule
from mlffd.errors import InputError
from mlffd.optional import import_optional
from mlffd.structures.structure import FloatArray

#: Up to so many atoms molecules move on the teacher's own surface: it costs little there, and
#: MMFF knows little of them (it gives N2 a bond of 1.46 Å).
TINY = 6

#: Conformers by atoms: one up to the first number, two up to the second, three above.
FEW_CONFORMERS = (8, 15)

#: Å; conformers that are more alike are one.
SAME_CONFORMER = 0.3

#: eV/Å at which a relaxation on the teacher's surface ends before its steps are used up.
RELAXED = 0.02

#: A molecule is whole unless a bond is longer, in lengths of the minimum, or two atoms are closer,
#: in Å.
BROKEN = 1.6
OVERLAPPING = 0.5


@dataclass(frozen=True, eq=False)
class Conformers:
    """One molecule, with explicit hydrogens.

    Attributes:
        numbers: atomic numbers ``[N]``.
        bonds: pairs of atoms ``[B, 2]``.
        is_bridge: ``[B]``, whether the molecule falls in two without the bond.
        minima: Å, ``[N, 3]`` each, of the surface.
        surface: makes a calculator of the surface that the molecule is sampled on.
        is_teachers: whether that surface is the teacher's, GFN2-xTB, and not MMFF94.
    """

    numbers: NDArray[np.int64]
    bonds: NDArray[np.int64]
    is_bridge: NDArray[np.bool_]
    minima: list[FloatArray]
    surface: Callable[[], Calculator]
    is_teachers: bool

    def atoms(self, positions: FloatArray) -> Atoms:
        """The molecule somewhere on its surface."""
        atoms = Atoms(numbers=self.numbers, positions=positions)
        atoms.calc = self.surface()
        return atoms

    def is_whole(self, positions: FloatArray, minimum: FloatArray) -> bool:
        """Whether no bond is `BROKEN` since the minimum, and no two atoms are `OVERLAPPING`."""
        first, second = self.bonds.T
        lengths = np.linalg.norm(positions[first] - positions[second], axis=1)
        usual = np.linalg.norm(minimum[first] - minimum[second], axis=1)
        return bool((lengths < BROKEN * usual).all() and (pdist(positions) > OVERLAPPING).all())


def gfn2_surface() -> Calculator:
    """GFN2-xTB for sampling: of tblite's usual accuracy, and warm from the step before."""
    calculator: Calculator = import_optional("tblite.ase", extra="label").TBLite(
        method="GFN2-xTB", verbosity=0
    )
    return calculator


def numbers_of(molecule: Molecule) -> NDArray[np.int64]:
    """Atomic numbers ``[N]``, hydrogens included.

    Raises:
        InputError: RDKit is missing or cannot read the molecule, an atom is a placeholder, or the
            molecule is an ion.
    """
    return _numbers(_with_hydrogens(molecule))


def relax(numbers: NDArray[np.int64], positions: FloatArray, steps: int) -> FloatArray:
    """Positions after some steps of BFGS towards the nearest minimum of GFN2-xTB, Å."""
    atoms = Atoms(numbers=numbers, positions=positions)
    atoms.calc = gfn2_surface()
    BFGS(atoms, logfile=None).run(fmax=RELAXED, steps=steps)
    relaxed: FloatArray = atoms.positions
    return relaxed


def embed(molecule: Molecule, rng: np.random.Generator, *, most: int = 3) -> Conformers:
    """Conformers by ETKDG, relaxed with MMFF94, or with GFN2-xTB where MMFF94 is of no use.

    That is for molecules of up to `TINY` atoms, and where it lacks parameters.

    Args:
        molecule: what to embed.
        rng: decides everything that is random.
        most: conformers.

    Raises:
        InputError: RDKit or tblite is missing, RDKit cannot embed the molecule, or see
            `numbers_of`.
    """
    force_fields = import_optional("rdkit.Chem.rdForceFieldHelpers", extra="label")
    made = _with_hydrogens(molecule)
    count = min(most, 1 + sum(made.GetNumAtoms() > limit for limit in FEW_CONFORMERS))
    identifiers = _embed(made, molecule, count, seed=int(rng.integers(2**31 - 1)))
    numbers = _numbers(made)
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in made.GetBonds()]
    properties = None
    if made.GetNumAtoms() > TINY:
        properties = force_fields.MMFFGetMoleculeProperties(made)
    surface: Callable[[], Calculator] = gfn2_surface
    if properties is not None:
        for identifier in identifiers:
            force_fields.MMFFOptimizeMolecule(made, maxIters=2000, confId=identifier)
        surface = _Mmff(made, properties)
    minima = [made.GetConformer(identifier).GetPositions() for identifier in identifiers]
    if properties is None:
        minima = [relax(numbers, positions, steps=200) for positions in minima]
    return Conformers(
        numbers=numbers,
        bonds=np.array(bonds, dtype=np.int64).reshape(-1, 2),
        is_bridge=np.array([not bond.IsInRing() for bond in made.GetBonds()], dtype=bool),
        minima=minima,
        surface=surface,
        is_teachers=properties is None,
    )


def _with_hydrogens(molecule: Molecule) -> Any:  # noqa: ANN401 - RDKit's
    chem = import_optional("rdkit.Chem", extra="label")
    with _silence():
        parsed = chem.MolFromSmiles(molecule.smiles)
    if parsed is None:
        raise InputError(f"{molecule.name}: RDKit cannot read the SMILES {molecule.smiles!r}")
    if charge := chem.GetFormalCharge(parsed):
        raise InputError(
            f"{molecule.name}: {molecule.smiles!r} has charge {charge:+d}, expected a neutral"
            " molecule: that is what teachers take it for"
        )
    made = chem.AddHs(parsed)
    if not _numbers(made).all():
        raise InputError(f"{molecule.name}: {molecule.smiles!r}: expected nothing but elements")
    return made


def _numbers(made: Any) -> NDArray[np.int64]:  # noqa: ANN401 - RDKit's
    """Atomic numbers ``[N]``; of a placeholder, such as ``*`` in SMILES, zero."""
    return np.array([atom.GetAtomicNum() for atom in made.GetAtoms()], dtype=np.int64)


def _embed(made: Any, molecule: Molecule, count: int, seed: int) -> Sequence[int]:  # noqa: ANN401
    """Give an RDKit molecule conformers; their identifiers."""
    geometry = import_optional("rdkit.Chem.rdDistGeom", extra="label")
    for from_anywhere in (False, True):  # slower, but rarely fails
        settings = geometry.ETKDGv3()
        settings.randomSeed = seed
        settings.pruneRmsThresh = SAME_CONFORMER
        settings.useRandomCoords = from_anywhere
        with _silence():
            identifiers = list(geometry.EmbedMultipleConfs(made, count, settings))
        if identifiers:
            return identifiers
    raise InputError(f"{molecule.name}: RDKit cannot embed {molecule.smiles!r} with seed {seed}")


def _silence() -> Any:  # noqa: ANN401 - RDKit's
    """RDKit writes to the terminal what it also returns, and warns of atoms it has no type for."""
    return import_optional("rdkit.rdBase", extra="label").BlockLogs()


class _Mmff:
    """Makes MMFF94 calculators of one molecule."""

    def __init__(self, made: Any, properties: Any) -> None:  # noqa: ANN401 - RDKit's
        self._made = made
        self._properties = properties

    def __call__(self) -> Calculator:
        return MmffCalculator(self._made, self._properties)


class MmffCalculator(Calculator):
    """MMFF94 of one molecule, as RDKit has it: energy (eV) and forces (eV/Å).

    Args:
        made: an RDKit molecule with a conformer; atoms that it is asked for are in its order.
        properties: its MMFF atom types.
    """

    implemented_properties: list[str] = ["energy", "forces"]  # noqa: RUF012 - ASE's

    def __init__(self, made: Any, properties: Any) -> None:  # noqa: ANN401 - RDKit's
        super().__init__()  # type: ignore[no-untyped-call]
        helpers = import_optional("rdkit.Chem.rdForceFieldHelpers", extra="label")
        self._field = helpers.MMFFGetMoleculeForceField(made, properties)
        self._field.Initialize()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """See ASE."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        positions = self.atoms.positions.ravel().tolist()
        # In this order: RDKit's gradient reads distances that only its energy brings up to date.
        energy = self._field.CalcEnergy(positions)
        gradient = np.reshape(self._field.CalcGrad(positions), (-1, 3))
        unit = units.kcal / units.mol
        self.results = {"energy": energy * unit, "forces": -gradient * unit}
