"""Structures in extended XYZ, through ASE, and conversion to and from HDF5."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.extxyz import XYZError, key_val_dict_to_str, key_val_str_to_dict

from mlffd.errors import InputError
from mlffd.files import write_atomically
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.structure import Structure

HDF5_SUFFIXES = (".h5", ".hdf5")
XYZ_SUFFIXES = (".xyz", ".extxyz")

#: Names under which other programs store what is looked for as ``energy`` and ``forces``, such as
#: ``REF_energy``, ``total_E`` and ``force``.
_ALIASES = {
    "energy": re.compile(r"energ|(^|_)e$", re.IGNORECASE),
    "forces": re.compile(r"force|(^|_)f$", re.IGNORECASE),
}


def read_extxyz(path: Path | str) -> Iterator[Structure]:
    """Structures one after another; energy, forces, stress and name where the file has them.

    Labels are those named ``energy``, ``forces`` and ``stress``.

    Raises:
        InputError: the file is missing, or the structure that comes next cannot be understood.
    """
    for structure, _ in _read(Path(path)):
        yield structure


def _read(path: Path) -> Iterator[tuple[Structure, Atoms]]:
    """Structures, each with what ASE read: that holds what a structure has no place for."""
    index = 0
    try:
        with path.open(encoding="utf-8") as stream:
            for atoms in ase.io.iread(stream, index=":", format="extxyz"):
                structure = Structure.from_atoms(atoms)
                index += 1
                yield structure, atoms
    except (XYZError, ValueError, KeyError, IndexError, TypeError, InputError) as error:
        reason = " ".join(str(error).split())
        # ASE looks for all headers before it yields anything, and does not say which one is wrong.
        place = f"structure {index}" if index else "structure 0 or a later one"
        raise InputError(f"{path}: not extended XYZ at {place}: {reason}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror}") from error


def write_extxyz(path: Path | str, structures: Iterable[Structure]) -> int:
    """Write structures with labels and names; whole or not at all.

    Positions and forces keep 8 decimals, everything else all of its digits.

    Returns:
        How many structures were written.
    """
    written = 0

    def write(aside: Path) -> None:
        nonlocal written
        with aside.open("w", encoding="utf-8") as stream:
            for structure in structures:
                atoms = structure.to_atoms()
                if structure.name:
                    atoms.info["name"] = _readable_name(structure.name)
                ase.io.write(stream, atoms, format="extxyz")
                written += 1

    write_atomically(Path(path), write)
    return written


def convert(source: Path | str, target: Path | str) -> int:
    """Convert between HDF5 (.h5, .hdf5) and extended XYZ (.xyz, .extxyz), by suffix.

    Provenance goes along from HDF5 to HDF5; extended XYZ has no place for it.

    Returns:
        How many structures were converted.

    Raises:
        InputError: another suffix, source and target are the same file, a file that cannot be
            read, or extended XYZ whose labels have other names or are not there throughout.
    """
    source, target = Path(source), Path(target)
    for path in (source, target):
        if path.suffix not in (*HDF5_SUFFIXES, *XYZ_SUFFIXES):
            allowed = ", ".join((*HDF5_SUFFIXES, *XYZ_SUFFIXES))
            raise InputError(f"{path}: unknown format {path.suffix!r}, expected one of {allowed}")
    if source.resolve() == target.resolve():
        raise InputError(f"{target}: is the source itself, expected another file to write to")
    if source.suffix in XYZ_SUFFIXES:
        return _write(target, _read_labels(source), {"converted_from": source.name})
    with Dataset(source) as dataset:
        return _write(target, dataset, dataset.metadata)


def _write(
    target: Path, structures: Iterable[Structure], metadata: Mapping[str, str | int | float]
) -> int:
    if target.suffix in XYZ_SUFFIXES:
        return write_extxyz(target, structures)
    return write_dataset(target, structures, metadata=metadata)


def _read_labels(source: Path) -> Iterator[Structure]:
    """`read_extxyz` of a file in which no label is overlooked, and each structure has the same.

    `write_dataset` would refuse a mixture too, but can only name the file that it writes.

    Raises:
        InputError: also if a label has another name, or some structures lack an energy or forces.
    """
    labelled = None
    for index, (structure, atoms) in enumerate(_read(source)):
        where = f"{source}: structure {index} ({structure.label})"
        others = [
            name
            for key in _ALIASES
            if getattr(structure, key) is None
            for name in _aliases(key, atoms)
        ]
        if others:
            raise InputError(
                f"{where}: has {', '.join(map(repr, others))}, but labels are looked for under the"
                " names 'energy' (eV), 'forces' (eV/Å) and 'stress' (eV/Å³)"
            )
        found = [k for k in ("energy", "forces", "stress") if getattr(structure, k) is not None]
        if labelled is None:
            labelled = bool(found)
        if bool(found) != labelled or (found and not {"energy", "forces"} <= {*found}):
            raise InputError(
                f"{where}: labels are {', '.join(map(repr, found)) or 'missing'}; expected 'energy'"
                " and 'forces' in every structure, under these names, or no labels in any"
            )
        yield structure


def _aliases(key: str, atoms: Atoms) -> list[str]:
    """Names of real numbers that look like this label under another name."""
    results = atoms.calc.results if atoms.calc else {}
    return [
        name
        for name, value in {**atoms.info, **atoms.arrays, **results}.items()
        if _ALIASES[key].search(name) and np.asarray(value).dtype.kind == "f"
    ]


def _readable_name(name: str) -> str:
    """A text that ASE reads back as this name.

    ASE would take ``007`` for a number, ``T`` for a truth value and a line feed for the end of the
    header; such a name is written as JSON, which ASE understands. A backslash must be doubled.
    """
    for candidate in (name, f"_JSON {json.dumps(name)}"):
        text = candidate.replace("\\", "\\\\")
        header = key_val_dict_to_str({"name": text})
        if header.splitlines() != [header]:
            continue
        found = key_val_str_to_dict(header).get("name")
        if isinstance(found, str) and found == name:
            return text
    raise InputError(f"extended XYZ cannot hold the name {name!r}")
