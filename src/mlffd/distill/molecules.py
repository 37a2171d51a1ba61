"""The molecules that students are made from."""

import re
from dataclasses import dataclass
from importlib import resources

from mlffd.errors import InputError

# The names of structures join molecules by "+" and put "/" behind them.
_NAME = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True)
class Molecule:
    """A line of ``molecules.smi``.

    Attributes:
        smiles: what it is; without stereochemistry, which is drawn with the conformers.
        name: what to call it; the structures made from it are called ``name/...``.
        family: the kind of chemistry that it stands for, such as ``sulfonamide``.
    """

    smiles: str
    name: str
    family: str


def load_molecules() -> list[Molecule]:
    """All molecules of the list that comes with the package."""
    text = resources.files("mlffd.distill").joinpath("molecules.smi").read_text(encoding="utf-8")
    return parse_molecules(text, source="molecules.smi")


def parse_molecules(text: str, *, source: str) -> list[Molecule]:
    """Read lines of SMILES, name and family; ``#`` at the start of a line makes it a comment.

    Raises:
        InputError: a line has not three fields, a name has other characters than lower case
            letters, digits and hyphens, or comes twice; or there is no molecule.
    """
    molecules: dict[str, Molecule] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"{source}, line {number}"
        if len(columns := line.split()) != 3:
            raise InputError(f"{place}: expected SMILES, name and family, found {line!r}")
        smiles, name, family = columns
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{place}: the name is {name!r}, expected lower case letters, digits and hyphens"
            )
        if name in molecules:
            raise InputError(f"{place}: the name {name!r} comes twice")
        molecules[name] = Molecule(smiles=smiles, name=name, family=family)
    if not molecules:
        raise InputError(f"{source}: expected lines of SMILES, name and family, found none")
    return list(molecules.values())
