"""An ONNX model exported by somebody else, as onnxruntime runs it on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlffd.errors import InputError
from mlffd.export.foreign_model import one_line
from mlffd.export.foreign_signature import Signature
from mlffd.optional import import_optional
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.students import Student


def open_session(model: bytes) -> Any:  # noqa: ANN401 - an onnxruntime.InferenceSession
    """Load a model into onnxruntime.

    One thread: onnxruntime 1.32 adds wrongly in ``ScatterND`` with more, and a diagnosis must tell
    the model's faults from the runtime's.

    Raises:
        InputError: onnxruntime is missing.
        Exception: it does not load, of several kinds that onnxruntime has.
    """
    onnxruntime = import_optional("onnxruntime", extra="export")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong comes as an exception, too
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class ForeignOnnxPotential:
    """A foreign model as a potential; without an output for forces they are NaN.

    A model that is not told which atom belongs to which structure gets one structure at a time.

    Args:
        model: the model's bytes, its weights in them.
        signature: what its inputs and outputs mean; none of the inputs may be unknown.
        reference: the student that it claims to be: says cutoff and elements.
        path: where the model came from, for messages.

    Raises:
        InputError: onnxruntime does not load it, or an input or the energy cannot be told.
    """

    def __init__(
        self, model: bytes, signature: Signature, reference: Student, *, path: Path
    ) -> None:
        if signature.unknown or signature.energy is None:
            unknown = ", ".join(str(item) for item in signature.unknown) or "energy"
            raise InputError(f"{path}: nobody can tell what this is: {unknown}")
        try:
            self.session = open_session(model)
        except InputError:
            raise
        except Exception as error:  # onnxruntime's own kinds, which share no base
            raise InputError(f"{path}: onnxruntime does not load it: {one_line(error)}") from error
        self.path = path
        self.signature = signature
        self.device = torch.device("cpu")
        self.dtype = torch.float32
        if any(i.role == "positions" and i.dtype == "float64" for i in signature.inputs):
            self.dtype = torch.float64
        self.max_z = reference.max_z
        self.cutoff = reference.cutoff
        self.honours_cells = reference.honours_cells
        self.has_stress = False
        self.has_forces = signature.forces is not None

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        """See `Potential`.

        Raises:
            InputError: onnxruntime fails, or the results do not have the shapes of the batch's.
            ValueError: stress is asked for.
        """
        if stress:
            raise ValueError("a foreign model is not asked for its stress")
        parts = [batch] if self.signature.takes_batches else _one_by_one(batch)
        energies, forces = zip(*(self._evaluate(part) for part in parts), strict=True)
        return Prediction(
            energy=torch.from_numpy(np.concatenate(energies)),
            forces=torch.from_numpy(np.concatenate(forces)).to(self.dtype),
        )

    def outputs(self, batch: Batch, names: list[str]) -> list[NDArray[Any]]:
        """Outputs of the model, in one call.

        Raises:
            InputError: onnxruntime fails.
        """
        try:
            found: list[NDArray[Any]] = self.session.run(names, self.signature.feed(batch))
        except Exception as error:  # onnxruntime's own kinds, which share no base
            raise InputError(
                f"{self.path}: onnxruntime fails on a batch of {len(batch)}"
                f" ({len(batch.numbers)} atoms): {one_line(error)}"
            ) from error
        return found

    def _evaluate(self, batch: Batch) -> tuple[NDArray[Any], NDArray[Any]]:
        energy, forces = self.signature.energy, self.signature.forces
        assert energy is not None
        names = [energy] if forces is None else [energy, forces]
        found = self.outputs(batch, names)
        energies = np.asarray(found[0], dtype=np.float64).reshape(-1)
        atoms = (len(batch.numbers), 3)
        derivatives = found[1] if forces is not None else np.full(atoms, np.nan)
        if energies.shape != (len(batch),) or derivatives.shape != atoms:
            raise InputError(
                f"{self.path}: energies of shape {np.shape(found[0])} and forces of shape"
                f" {derivatives.shape} for a batch of {len(batch)} ({len(batch.numbers)} atoms)"
            )
        return energies, derivatives


def _one_by_one(batch: Batch) -> list[Batch]:
    """Each structure of a batch as a batch of its own."""
    counts = batch.atom_counts.tolist()
    edges = torch.bincount(batch.structure_index[batch.edge_index[1]], minlength=len(counts))
    starts = [0, *np.cumsum(counts).tolist()]
    parts = zip(
        batch.numbers.split(counts),
        batch.positions.split(counts),
        batch.edge_index.split(edges.tolist(), dim=1),
        batch.shifts.split(edges.tolist()),
        starts[:-1],
        strict=True,
    )
    return [
        Batch(
            numbers=numbers,
            positions=positions,
            edge_index=edge_index - start,
            shifts=shifts,
            structure_index=torch.zeros_like(numbers),
            atom_counts=batch.atom_counts[index : index + 1],
            cells=batch.cells[index : index + 1],
            pbc=batch.pbc[index : index + 1],
        )
        for index, (numbers, positions, edge_index, shifts, start) in enumerate(parts)
    ]
