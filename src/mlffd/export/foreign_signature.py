"""Which array of a batch is which input of a model that does not say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlffd.checkpoints.plain import shown
from mlffd.optional import import_optional
from mlffd.structures.batch import Batch

Shape = tuple[int | str, ...]

_UNKNOWN_SIZE = "?"


class _Role(NamedTuple):
    kinds: str  # of numpy's dtypes
    shape: Shape
    names: frozenset[str]


def _role(kinds: str, shape: Shape, *names: str) -> _Role:
    return _Role(kinds, shape, frozenset(names))


#: Fields of `Batch`: names in use for them, in small letters without separators.
ROLES = {
    "numbers": _role(
        "iu", ("atoms",), "numbers", "atomicnumbers", "atomicnumber", "z", "zs", "species"
    ),
    "positions": _role(
        "f", ("atoms", 3), "positions", "pos", "coordinates", "coords", "coord", "r", "xyz"
    ),
    "edge_index": _role(
        "iu", (2, "edges"), "edgeindex", "edges", "edgeindices", "pairs", "neighborlist", "nbrlist"
    ),
    "shifts": _role("f", ("edges", 3), "shifts", "shift", "edgeshifts", "shiftvectors", "offsets"),
    "structure_index": _role(
        "iu", ("atoms",), "structureindex", "batch", "batchindex", "batchidx", "molidx", "idxm"
    ),
    "atom_counts": _role("iu", ("structures",), "atomcounts", "natoms", "numatoms", "counts"),
    "cells": _role("f", ("structures", 3, 3), "cells", "cell", "lattice", "box"),
    "pbc": _role("b", ("structures", 3), "pbc"),
}
#: Guessed from dtype and shape where the name tells nothing, if only one input fits.
_TOLD_BY_SHAPE = ("positions", "edge_index", "numbers")

_ENERGY = frozenset({"energy", "energies", "totalenergy", "e", "y"})
_FORCES = frozenset({"forces", "force", "f"})


@dataclass(frozen=True)
class Input:
    """An input of a model.

    Attributes:
        name: its own.
        dtype: numpy's name, such as ``float32``; empty if it is no tensor of numbers.
        shape: a number where the model fixes the size; None if it states no shape.
        role: the field of `Batch` that it takes; None: nobody can tell.
        transposed: whether it takes the field with the axes swapped.
        single: whether it takes one structure, without an axis for structures.
        baked: sizes that the model fixes although a batch does not: atoms, edges or structures.
    """

    name: str
    dtype: str
    shape: Shape | None
    role: str | None = None
    transposed: bool = False
    single: bool = False
    baked: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        sizes = "?" if self.shape is None else ", ".join(str(size) for size in self.shape)
        return f"{shown(self.name)} {self.dtype or 'no numbers'} [{sizes}]"


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a model, and what they mean.

    Attributes:
        inputs: in the model's order.
        energy: name of the output; None: nobody can tell.
        forces: name of the output; None: there is none.
    """

    inputs: tuple[Input, ...]
    energy: str | None
    forces: str | None

    @property
    def unknown(self) -> tuple[Input, ...]:
        """Inputs that nobody can tell: the model cannot be run."""
        return tuple(item for item in self.inputs if item.role is None)

    @property
    def baked(self) -> tuple[Input, ...]:
        """Inputs that take one size only."""
        return tuple(item for item in self.inputs if item.baked)

    @property
    def takes_batches(self) -> bool:
        """Whether it is told which atom belongs to which structure."""
        return not any(item.single for item in self.inputs) and any(
            item.role in ("structure_index", "atom_counts") for item in self.inputs
        )

    def fits(self, batch: Batch) -> bool:
        """Whether a batch has the sizes that the model fixes."""
        sizes = {
            "atoms": len(batch.numbers),
            "edges": batch.edge_index.shape[1],
            "structures": len(batch),
        }
        return all(sizes[size] == value for item in self.inputs for size, value in item.baked)

    def feed(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """The batch as the model's inputs; none of them may be unknown."""
        feed = {}
        for item in self.inputs:
            assert item.role is not None
            array: NDArray[Any] = getattr(batch, item.role).cpu().numpy().astype(item.dtype)
            if item.single:
                array = array[0, ...]  # an array even of what is left of [B]
            feed[item.name] = array.T.copy() if item.transposed else array
        return feed


def guess_signature(model: Any) -> Signature:  # noqa: ANN401 - a message of onnx
    """Tell inputs and outputs by name, dtype and shape, and inputs without a telling name by those.

    The source of an edge is taken to be row 0, and shifts to be in Å. A list of neighbours is
    whole, so that the opposite order matters only together with shifts.
    """
    initial = {tensor.name for tensor in model.graph.initializer}
    inputs = [_declared(value) for value in model.graph.input if value.name not in initial]
    inputs = [_by_name(item) for item in inputs]
    for role in _TOLD_BY_SHAPE:
        fitting = [i for i in inputs if i.role is None and i.shape is not None and _as(i, role)]
        if len(fitting) == 1 and not any(item.role == role for item in inputs):
            inputs = [_as(i, role) or i if i is fitting[0] else i for i in inputs]
    roles = [item.role for item in inputs]
    # Two inputs that claim one role: neither is believed.
    inputs = [i if roles.count(i.role) == 1 else Input(i.name, i.dtype, i.shape) for i in inputs]
    outputs = [_declared(value) for value in model.graph.output]
    floats = [item for item in outputs if _is_float(item)]
    forces = _named(floats, _FORCES)
    energy = _named(floats, _ENERGY)
    if energy is None:
        others = [item for item in floats if item.name != forces and len(item.shape or ()) <= 1]
        energy = others[0].name if len(others) == 1 else None
    return Signature(tuple(inputs), energy, forces)


def _declared(value: Any) -> Input:  # noqa: ANN401 - a message of onnx
    helper = import_optional("onnx.helper", extra="export")
    tensor = value.type.tensor_type
    if not tensor.elem_type:  # a sequence or a map
        return Input(value.name, "", None)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if dtype.kind not in "biuf":  # text, and types that numpy does not have
        return Input(value.name, "", None)
    if not tensor.HasField("shape"):
        return Input(value.name, dtype.name, None)
    shape = (
        dim.dim_value if dim.HasField("dim_value") else _shown_size(dim.dim_param)
        for dim in tensor.shape.dim
    )
    return Input(value.name, dtype.name, tuple(shape))


def _shown_size(name: str) -> str:
    """A size's name from an untrusted file, for a person."""
    return shown(name)[1:-1] if name else _UNKNOWN_SIZE


def _by_name(item: Input) -> Input:
    for role, (_, _, names) in ROLES.items():
        if _plain(item.name) in names:
            return _as(item, role) or item
    return item


def _as(item: Input, role: str) -> Input | None:
    """The input in a role; None if its dtype or shape speak against it."""
    kinds, expected, _ = ROLES[role]
    if not item.dtype or np.dtype(item.dtype).kind not in kinds:
        return None
    if item.shape is None:
        return replace(item, role=role)
    forms: list[tuple[Shape, dict[str, Any]]] = [(expected, {})]
    if expected[0] == "structures":
        forms.append((expected[1:], {"single": True}))
    if role == "edge_index":
        forms.append((expected[::-1], {"transposed": True}))
    fitting = [
        replace(item, role=role, baked=baked, **form)
        for shape, form in forms
        if (baked := _baked(item.shape, shape)) is not None
    ]
    # A two is rather the two ends of an edge than the number of edges.
    return min(fitting, key=lambda fit: len(fit.baked), default=None)


def _baked(shape: Shape, expected: Shape) -> tuple[tuple[str, int], ...] | None:
    """Sizes of a batch that the shape fixes; None if the shapes cannot be the same."""
    if len(shape) != len(expected):
        return None
    baked = []
    for size, wanted in zip(shape, expected, strict=True):
        if isinstance(wanted, int):
            if isinstance(size, int) and size != wanted:
                return None
        elif isinstance(size, int):
            baked.append((wanted, size))
    return tuple(baked)


def _named(items: Sequence[Input], names: frozenset[str]) -> str | None:
    return next((item.name for item in items if _plain(item.name) in names), None)


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _is_float(item: Input) -> bool:
    return bool(item.dtype) and np.dtype(item.dtype).kind == "f"
