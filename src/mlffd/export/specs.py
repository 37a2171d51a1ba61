"""What goes into and comes out of an artifact: the same names and meanings in every format."""

import torch

from mlffd.export.graph import INPUTS, outputs_of
from mlffd.export.manifest import TensorSpec
from mlffd.students import Student

_ATOMS, _EDGES, _STRUCTURES = "atoms", "edges", "structures"


def input_specs(student: Student) -> tuple[TensorSpec, ...]:
    """Inputs of what takes a batch and its neighbour list, in the order of `INPUTS`.

    Args:
        student: its weights have the dtype of positions.
    """
    real = _real(student)
    specs = {
        "numbers": _numbers(),
        "positions": _positions(real),
        "edge_index": TensorSpec(
            name="edge_index",
            dtype="int64",
            shape=(2, _EDGES),
            unit="",
            meaning=(
                "source j, then destination i, of every pair of atoms closer than the cutoff, each"
                " pair in both directions; sorted by i"
            ),
        ),
        "shifts": TensorSpec(
            name="shifts",
            dtype=real,
            shape=(_EDGES, 3),
            unit="Å",
            meaning=(
                "sum of lattice vectors that takes j to its image: the edge vector is"
                " positions[j] - positions[i] + shift; zero where nothing is periodic"
            ),
        ),
        "structure_index": TensorSpec(
            name="structure_index",
            dtype="int64",
            shape=(_ATOMS,),
            unit="",
            meaning="which structure of the batch an atom belongs to, counted from zero",
        ),
        "atom_counts": TensorSpec(
            name="atom_counts",
            dtype="int64",
            shape=(_STRUCTURES,),
            unit="",
            meaning="how many atoms each structure has",
        ),
    }
    return tuple(specs[name] for name in INPUTS)


def output_specs(student: Student) -> tuple[TensorSpec, ...]:
    """Outputs of what takes a batch, in the order of `outputs_of`."""
    real = _real(student)
    specs = {
        "energy": _energy((_STRUCTURES,)),
        "forces": _forces(real),
        "virial": TensorSpec(
            name="virial",
            dtype=real,
            shape=(_STRUCTURES, 3, 3),
            unit="eV",
            meaning="-dE/dstrain; the stress in eV/Å^3 is -virial / volume",
        ),
    }
    return tuple(specs[name] for name in outputs_of(student))


def molecule_input_specs(student: Student) -> tuple[TensorSpec, ...]:
    """Inputs of what takes one molecule and finds the neighbours itself."""
    return _numbers(), _positions(_real(student))


def molecule_output_specs(student: Student) -> tuple[TensorSpec, ...]:
    """Outputs of what takes one molecule."""
    return _energy((1,)), _forces(_real(student))


def _real(student: Student) -> str:
    """Name of the dtype of positions and forces."""
    dtype: torch.dtype = next(student.parameters()).dtype
    return str(dtype).removeprefix("torch.")


def _numbers() -> TensorSpec:
    return TensorSpec(
        name="numbers", dtype="int64", shape=(_ATOMS,), unit="", meaning="atomic numbers"
    )


def _positions(real: str) -> TensorSpec:
    return TensorSpec(
        name="positions", dtype=real, shape=(_ATOMS, 3), unit="Å", meaning="of the atoms"
    )


def _energy(shape: tuple[int | str, ...]) -> TensorSpec:
    return TensorSpec(
        name="energy",
        dtype="float64",
        shape=shape,
        unit="eV",
        meaning="of each structure, reference energies of the elements included",
    )


def _forces(real: str) -> TensorSpec:
    return TensorSpec(
        name="forces", dtype=real, shape=(_ATOMS, 3), unit="eV/Å", meaning="-dE/dposition"
    )
