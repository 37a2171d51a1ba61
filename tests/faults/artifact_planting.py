"""A format of its own, of files that name a checkpoint and a fault: how wrong exports are made."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from planting import CHECKPOINT
from torch.overrides import TorchFunctionMode

from mlffd.checkpoints import load_checkpoint, read_checkpoint
from mlffd.checks.subjects import ArtifactSubject
from mlffd.export.deviations import TOLERANCES
from mlffd.export.formats import FORMATS, Format
from mlffd.export.manifest import Deviation, Manifest, TensorSpec, sha256_of, write_manifest
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction

NAME = "planted"
FORMAT = Format(NAME, ".planted", ("fp32",), "artifact_planting:none", "artifact_planting:Planted")

BAKED_ATOMS = 64
CARBON_DIOXIDE = [6, 8, 8]


def register(monkeypatch: Any) -> None:
    """Let mlffd know the format."""
    monkeypatch.setitem(FORMATS, NAME, FORMAT)


def artifact(
    folder: Path,
    fault: str = "Fault",
    *,
    checkpoint: Path = CHECKPOINT,
    reference: Path = CHECKPOINT,
    tolerance: Deviation = TOLERANCES["fp32"],
) -> ArtifactSubject:
    """An export with a fault, and a manifest that knows nothing of it."""
    path = folder / f"student{FORMAT.suffix}"
    path.write_text(json.dumps({"checkpoint": str(checkpoint), "fault": fault}))
    write_manifest(path, manifest_of(path, checkpoint, tolerance))
    return ArtifactSubject(name="artifact", path=path, reference=reference)


def manifest_of(path: Path, checkpoint: Path, tolerance: Deviation) -> Manifest:
    found = read_checkpoint(checkpoint)
    student = found.student()
    return Manifest(
        format=NAME,
        precision="fp32",
        student="student",
        architecture=found.architecture,
        revision=found.revision,
        config=found.config,
        weights=found.fingerprint,
        cutoff=student.cutoff,
        max_z=student.max_z,
        elements=None,
        honours_cells=student.honours_cells,
        neighbours="input",
        inputs=(),
        outputs=tuple(
            TensorSpec(name=name, dtype="float32", shape=(), unit="", meaning="")
            for name in ("energy", "forces", "virial")
        ),
        versions={},
        size=path.stat().st_size,
        sha256=sha256_of(path),
        tolerance=tolerance,
        measured=Deviation(energy_per_atom=0, forces=0, forces_rms=0),
        snippet="",
        created={},
    )


class Planted:
    """The runtime of the format: the student in float32, and the fault."""

    def __init__(
        self, path: Path, _manifest: Manifest, *, device: str = "cpu", **_: object
    ) -> None:
        content = json.loads(path.read_text())
        student = load_checkpoint(content["checkpoint"])
        self.fault = FAULTS[content["fault"]]()
        self.fault.prepare(student)
        self.inner = EagerPotential(student, dtype=torch.float32, device=device)
        for name in ("max_z", "cutoff", "dtype", "device", "honours_cells", "has_stress"):
            setattr(self, name, getattr(self.inner, name))

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        return self.fault(batch, lambda given: self.inner(given, stress=stress))


class Fault:
    """What goes wrong between a batch and its prediction: here, nothing."""

    def prepare(self, student: torch.nn.Module) -> None:
        """What goes wrong with the weights."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        return run(batch)


class MissingReduction(Fault):
    """Of several contributions to one atom, the last is kept: the exporter's scatter adds not."""

    class _LastWins(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is torch.Tensor.index_add:
                target, dim, index, source = args
                return target.index_copy(dim, index, source)
            return func(*args, **(kwargs or {}))

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        with self._LastWins():
            return run(batch)


class HalfPrecisionLayer(Fault):
    """One layer's weights are rounded to 11 bits."""

    def prepare(self, student: torch.nn.Module) -> None:
        weight = student.get_parameter("energy_head.0.weight")
        weight.data = weight.data.half().float()


class BakedSizes(Fault):
    """Knows the number of atoms of its example only."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        if len(batch.numbers) != BAKED_ATOMS:
            raise RuntimeError(f"expected {BAKED_ATOMS} atoms, got {len(batch.numbers)}")
        return run(batch)


class BakedOutput(Fault):
    """Returns forces of as many atoms as its example had."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        prediction = run(batch)
        return replace(prediction, forces=prediction.forces[:BAKED_ATOMS])


class OddAtoms(Fault):
    """The last atom of an odd number of them is left over."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        prediction = run(batch)
        forces = prediction.forces.clone()
        if len(forces) % 2:
            forces[-1] = 0
        return replace(prediction, forces=forces)


class ScaledAtom(Fault):
    """Forces on the first atom are 1% too large."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        prediction = run(batch)
        forces = prediction.forces.clone()
        forces[0] *= 1.01
        return replace(prediction, forces=forces)


class VirialSign(Fault):
    """Stress of the other sign."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        prediction = run(batch)
        stress = prediction.stress
        return replace(prediction, stress=None if stress is None else -stress)


class NanAtZero(Fault):
    """The gradient of a norm at zero is NaN, as in carbon dioxide."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        prediction = run(batch)
        if batch.numbers[:3].tolist() != CARBON_DIOXIDE:
            return prediction
        return replace(prediction, forces=torch.full_like(prediction.forces, torch.nan))


class IsolatedAtoms(Fault):
    """An atom without neighbours has 1 meV too much."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        prediction = run(batch)
        neighbours = torch.bincount(batch.edge_index[1], minlength=len(batch.numbers))
        extra = 1e-3 * (neighbours == 0).double()
        return replace(
            prediction, energy=prediction.energy.index_add(0, batch.structure_index, extra)
        )


class LeakingState(Fault):
    """Something of the batch before is left over."""

    last = 0

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        prediction = run(batch)
        left_over, self.last = 1e-3 * self.last, len(batch.numbers)
        return replace(prediction, energy=prediction.energy + left_over)


class SharedBuffer(Fault):
    """Two threads write their batch into the same place."""

    def __call__(self, batch: Batch, run: Callable[[Batch], Prediction]) -> Prediction:
        self.buffer = batch
        time.sleep(0.002)
        return run(self.buffer)


class DoesNotOpen(Fault):
    """The runtime does not know an operator."""

    def prepare(self, _student: torch.nn.Module) -> None:
        raise RuntimeError("no kernel for EyeLike(9)")


FAULTS: dict[str, type[Fault]] = {
    fault.__name__: fault
    for fault in (
        Fault,
        MissingReduction,
        HalfPrecisionLayer,
        BakedSizes,
        BakedOutput,
        OddAtoms,
        ScaledAtom,
        VirialSign,
        NanAtZero,
        IsolatedAtoms,
        LeakingState,
        SharedBuffer,
        DoesNotOpen,
    )
}
