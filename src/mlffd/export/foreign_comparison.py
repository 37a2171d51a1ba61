"""How far a foreign model is from the student that it claims to be, and what its sums lose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlffd.errors import InputError
from mlffd.export.deviations import finite_maximum
from mlffd.export.foreign_model import one_line
from mlffd.export.foreign_signature import Signature
from mlffd.export.foreign_sums import OverwritingSum, count_lost, show_indices
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.foreign_onnx import ForeignOnnxPotential
from mlffd.runtimes.potential import collate_for, predict
from mlffd.structures.structure import Structure
from mlffd.students import Student


@dataclass(frozen=True)
class Errors:
    """How far a model is from the checkpoint's student in eager float64.

    Attributes:
        structures: how many were compared.
        energy: eV, worst structure; NaN if none was compared, as are the others.
        energy_median: eV, over structures.
        energy_per_atom: eV per atom, worst structure.
        worst: name of the structure with the worst energy.
        forces: eV/Å, worst component; None if the model gives none.
        skipped: structures that have other sizes than those that the model fixes.
        failed: what onnxruntime says of structures that it cannot run.
    """

    structures: int
    energy: float
    energy_median: float
    energy_per_atom: float
    worst: str
    forces: float | None
    skipped: int
    failed: tuple[str, ...]

    def within(self, energy_per_atom: float, forces: float) -> bool:
        """Whether at least one structure was compared, none failed, and all are this close."""
        close = self.energy_per_atom <= energy_per_atom
        close &= self.forces is None or self.forces <= forces
        return close and self.structures > 0 and not self.failed


class Comparison:
    """Structures, and what the reference says of them.

    Args:
        path: of the model, for messages.
        signature: what its inputs and outputs mean.
        student: that the model claims to be, in float64.
        structures: to compare on.

    Raises:
        InputError: the student does not know an element.
    """

    def __init__(
        self, path: Path, signature: Signature, student: Student, structures: Sequence[Structure]
    ) -> None:
        self.path, self.signature, self.student = path, signature, student
        self.structures = list(structures)
        self.expected = predict(EagerPotential(student), self.structures)

    def errors(self, model: Any) -> Errors:  # noqa: ANN401 - a message of onnx
        """Compare alone, and in one batch if the model takes batches.

        Raises:
            InputError: the model does not load, or nobody can tell what it takes.
        """
        potential = self._potential(model)
        pairs = list(zip(self.structures, self.expected, strict=True))
        groups = [[pair] for pair in pairs]
        if self.signature.takes_batches and len(pairs) > 1:
            groups.append(pairs)
        energy: list[float] = []
        per_atom: list[float] = []
        forces: list[float] = []
        names: list[str] = []
        failed: list[str] = []
        skipped = 0
        for group in groups:
            members = [structure for structure, _ in group]
            if not self.signature.fits(collate_for(potential, members)):
                skipped += 1
                continue
            try:
                found = predict(potential, members, max_structures=len(members))
            except InputError as error:
                failed.append(one_line(error))
                continue
            for (structure, expected), prediction in zip(group, found, strict=True):
                energy.append(finite_maximum(np.abs([prediction.energy - expected.energy])))
                per_atom.append(energy[-1] / len(structure))
                forces.append(finite_maximum(np.abs(prediction.forces - expected.forces)))
                names.append(structure.label)
        nothing = [np.nan]
        return Errors(
            structures=len(energy),
            energy=float(np.max(energy or nothing)),
            energy_median=float(np.median(energy or nothing)),
            energy_per_atom=float(np.max(per_atom or nothing)),
            worst=names[int(np.argmax(energy))] if energy else "",
            forces=float(np.max(forces or nothing)) if potential.has_forces else None,
            skipped=skipped,
            failed=tuple(failed),
        )

    def look_at(
        self,
        model: Any,  # noqa: ANN401 - a message of onnx
        sums: tuple[OverwritingSum, ...],
    ) -> tuple[OverwritingSum, ...]:
        """The sums, with what each loses in the structure where it loses most.

        Raises:
            InputError: the model does not load when it returns their indices.
        """
        shown_model, outputs = show_indices(model, sums)
        if not outputs:
            return sums
        potential = self._potential(shown_model)
        looked = {item.node: item for item in sums}
        for structure in self.structures:
            batch = collate_for(potential, [structure])
            if not self.signature.fits(batch):
                continue
            try:
                indices = potential.outputs(batch, list(outputs.values()))
            except InputError:  # counted as failed already
                continue
            for node, found in zip(outputs, indices, strict=True):
                looked[node] = count_lost(model, looked[node], found)
        return tuple(looked.values())

    def _potential(self, model: Any) -> ForeignOnnxPotential:  # noqa: ANN401
        data = model.SerializeToString()
        return ForeignOnnxPotential(data, self.signature, self.student, path=self.path)
