"""The molecules that students are made from, and which split each belongs to."""

from dataclasses import dataclass
from importlib import resources
from typing import Literal, cast, get_args

from mlffd.errors import InputError

Split = Literal["train", "validation", "test"]

#: Chemical symbols that the molecules are made of.
ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl")


@dataclass(frozen=True)
class Molecule:
    """A line of ``molecules.smi``.

    Attributes:
        smiles: what it is.
        name: what to call it; the structures made from it are called ``name/...``.
        split: the only data set that it, or anything made from it, may occur in.
    """

    smiles: str
    name: str
    split: Split


def load_molecules() -> list[Molecule]:
    """All molecules of the list that comes with the package."""
    text = resources.files("mlffd.distill").joinpath("molecules.smi").read_text(encoding="utf-8")
    return parse_molecules(text, source="molecules.smi")


def parse_molecules(text: str, *, source: str) -> list[Molecule]:
    """Read lines of SMILES, name and split; ``#`` at the start of a line makes it a comment.

    Raises:
        InputError: a line has not three fields, the split is unknown, or a name comes twice.
    """
    molecules: dict[str, Molecule] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"{source}, line {number}"
        if len(columns := line.split()) != 3:
            raise InputError(f"{place}: expected SMILES, name and split, found {line!r}")
        smiles, name, split = columns
        if split not in get_args(Split):
            raise InputError(
                f"{place}: split is {split!r}, expected one of {', '.join(get_args(Split))}"
            )
        if name in molecules:
            raise InputError(f"{place}: the name {name!r} comes twice")
        molecules[name] = Molecule(smiles=smiles, name=name, split=cast(Split, split))
    return list(molecules.values())
