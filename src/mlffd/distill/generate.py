"""Structures without labels: molecules cold, hot, rattled and scanned; pairs, cells, atoms.

Names say what was done: see `mlffd.structures.naming`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from zlib import crc32

import numpy as np
from ase.data import chemical_symbols

from mlffd.distill.alone import LARGE, alone
from mlffd.distill.company import in_company
from mlffd.distill.conformers import numbers_of
from mlffd.distill.molecules import Molecule
from mlffd.distill.parts import Part, read_part, write_part
from mlffd.distill.work import remove_parts, run_units
from mlffd.environment import command_line
from mlffd.files import require_writable
from mlffd.optional import import_optional
from mlffd.structures.hdf5_schema import Metadata
from mlffd.structures.naming import kind_of
from mlffd.structures.structure import Structure

#: Molecules that pairs and cells may join. A split of the data keeps those together that occur
#: together, so groups are small.
POOL = 4


@dataclass(frozen=True)
class Unit:
    """What one process makes at a time.

    Attributes:
        kind: ``molecule`` or ``pool``.
        molecules: that it is made of.
        seed: of everything that is random.
    """

    kind: str
    molecules: tuple[Molecule, ...]
    seed: int

    def rng(self) -> np.random.Generator:
        """Depends on the seed and on what the unit is made of, not on other units."""
        name = "+".join((self.kind, *(molecule.name for molecule in self.molecules)))
        return np.random.default_rng([self.seed, crc32(name.encode())])


def generate_dataset(
    molecules: Sequence[Molecule],
    target: Path,
    *,
    seed: int,
    jobs: int | None = None,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> Counter[str]:
    """Write the structures made from molecules; killed at any moment, the same call goes on.

    The same molecules and seed give the same structures, whatever the number of processes.

    Args:
        molecules: what to make them of.
        target: the HDF5 file to write.
        seed: of everything that is random.
        jobs: processes; as many as there are cores if None.
        on_done: called with the units that are done, and how many there are.

    Returns:
        How many structures of each kind were written.

    Raises:
        InputError: RDKit or tblite is missing, a molecule is refused (see `numbers_of`) or cannot
            be embedded, the file cannot be written; or parts are there that were made otherwise.
    """
    from mlffd.structures.dataset import write_dataset  # imports torch: not in every process

    require_writable(target, "target")
    for module in ("rdkit.Chem", "tblite.ase"):
        import_optional(module, extra="label")
    # All are read now: a mistake in the list costs nothing yet.
    elements = {int(z) for molecule in molecules for z in np.unique(numbers_of(molecule))}
    units = units_of(molecules, seed)
    settings: Metadata = {
        "seed": seed,
        "molecules": _fingerprint(molecules),
        **{package: version(package) for package in ("mlffd", "rdkit", "tblite", "ase", "numpy")},
    }
    parts = run_units(
        write_unit,
        units.__getitem__,
        len(units),
        target=target,
        settings={"command": "generate", **settings},
        jobs=jobs,
        on_done=lambda done: on_done(done, len(units)),
    )
    counts: Counter[str] = Counter()

    def structures() -> Iterator[Structure]:
        made = (structure for part in parts for structure in read_part(part).structures)
        for structure in chain(made, map(_atom, sorted(elements))):
            counts[kind_of(structure)] += 1
            yield structure

    write_dataset(target, structures(), metadata={**settings, "source": command_line()})
    remove_parts(target)
    return counts


def units_of(molecules: Sequence[Molecule], seed: int) -> list[Unit]:
    """All that is to be made, in order: molecules, pools of molecules."""
    usual = [molecule for molecule in molecules if molecule.family != LARGE]
    order = np.random.default_rng(seed).permutation(len(usual))
    pools = [order[start : start + POOL] for start in range(0, len(usual), POOL)]
    units = [Unit("molecule", (molecule,), seed) for molecule in molecules]
    units += [Unit("pool", tuple(usual[i] for i in pool), seed) for pool in pools]
    return units


def write_unit(unit: Unit, path: Path) -> None:
    """Make a unit's structures and write them as a part.

    Raises:
        InputError: see `alone` and `in_company`.
    """
    write_part(path, Part(make(unit)))


def make(unit: Unit) -> list[Structure]:
    """The structures of a unit, the same for the same unit.

    Raises:
        InputError: see `write_unit`.
    """
    if unit.kind == "pool":
        return list(in_company(unit.molecules, unit.rng()))
    return list(alone(unit.molecules[0], unit.rng()))


def _atom(number: int) -> Structure:
    """Single atoms fix the limit of dissociation."""
    name = f"{chemical_symbols[number]}/atom"
    return Structure(numbers=np.array([number]), positions=np.zeros((1, 3)), name=name)


def _fingerprint(molecules: Sequence[Molecule]) -> str:
    """Of the list, its order included."""
    lines = "\n".join(" ".join(astuple(molecule)) for molecule in molecules)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
