"""Faults of exported files: not the student any more, or the student at some sizes only."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mlffd.checkpoints import read_checkpoint, save_safetensors
from mlffd.checkpoints import safetensors_writing as writing
from mlffd.checkpoints.rounding import INT8, packed, rounded, unpacked
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.export.manifest import manifest_path, read_manifest, sha256_of, write_manifest
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import ChangedPotential, add_noise, with_input, with_output
from mlffd.optional import import_optional
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction
from mlffd.students import Student

_LAYER = "interactions.1.update.update_mlp.0.weight"
#: Atoms and structures of the example that an exporter traced.
_TRACED = 64


def _rewritten(subject: ArtifactSubject) -> ArtifactSubject:
    """The manifest is that of the file as it is now: somebody made it so."""
    manifest = read_manifest(subject.path)
    write_manifest(
        subject.path,
        manifest.model_copy(
            update={"size": subject.path.stat().st_size, "sha256": sha256_of(subject.path)}
        ),
    )
    return subject


def _of(healthy: Healthy, change: Callable[[Student], object]) -> ArtifactSubject:
    """A file with other weights than its manifest says."""
    subject = healthy.artifact()
    changed = read_checkpoint(healthy.resaved(change))
    save_safetensors(subject.path, changed, precision="fp32")
    return _rewritten(subject)


@fault(caught_by=["artifact_loads"])
def export_of_an_earlier_checkpoint(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The student was trained anew, and not exported again.

    Two steps of a pipeline that nobody ties together.
    """
    subject = healthy.artifact()
    retrained = healthy.resaved(lambda student: add_noise(student, 1e-3))
    yield replace(subject, reference=retrained)


@fault(caught_by=["artifact_loads"])
def file_changed_after_export(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The file is not the one that was verified.

    An optimizer that somebody ran over it, or a damaged transfer.
    """
    subject = healthy.artifact()
    content = bytearray(subject.path.read_bytes())
    content[-1] ^= 1
    subject.path.write_bytes(content)
    yield subject


@fault(caught_by=["artifact_loads"])
def manifest_missing(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """Nobody knows what the file is an export of.

    A file that was copied alone.
    """
    subject = healthy.artifact()
    manifest_path(subject.path).unlink()
    yield subject


@fault(caught_by=["artifact_loads"])
def manifest_of_another_revision(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The file is an export of the same weights in another revision of the function.

    The architecture was corrected, and the export not repeated.
    """
    subject = healthy.artifact()
    path = manifest_path(subject.path)
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "revision": 1}), encoding="utf-8")
    yield subject


@fault(
    caught_by=["artifact_matches"],
    sizes=[1e-7, 1e-6, 1e-5, 1e-4, 1e-3],
    unit="relative",
    limit=1e-3,
)
def constants_of_another_checkpoint(healthy: Healthy, size: float) -> Iterator[ArtifactSubject]:
    """The weights in the graph are those of another checkpoint.

    Constants that were folded into the graph before the last weights were loaded.
    """
    yield _of(healthy, lambda student: add_noise(student, size))


@fault(caught_by=["artifact_matches"])
def exported_layer_in_half_precision(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """One layer of a float32 file has eleven bits.

    A tool that converts what it thinks is safe.
    """

    def halve(student: Student) -> None:
        weight = student.get_parameter(_LAYER)
        weight.copy_(weight.half())

    yield _of(healthy, halve)


@fault(caught_by=["artifact_matches"])
def eight_bits_called_float32(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """A quantized file says that it is in full precision.

    Files of several precisions that are renamed.
    """

    def quantize(student: Student) -> None:
        student.load_state_dict(rounded(student.state_dict(), INT8))

    yield _of(healthy, quantize)


@fault(caught_by=["precision_budget"], sizes=[0.02, 0.1, 0.25], unit="relative", limit=0.25)
def wrong_scale_of_eight_bits(healthy: Healthy, size: float) -> Iterator[ArtifactSubject]:
    """The scale of one quantized matrix is too large.

    Calibrated on other data, or by a maximum over the wrong axis.
    """
    layer = healthy.checkpoint.weights[_LAYER]

    def scaled(matrix: Tensor, precision: str) -> tuple[Tensor, Tensor | None]:
        stored, scales = packed(matrix, precision)
        assert scales is not None
        return stored, scales * (1 + size) if torch.equal(matrix, layer) else scales

    def as_stored(weights: dict[str, Tensor], precision: str) -> dict[str, Tensor]:
        found = rounded(weights, precision)
        return {**found, _LAYER: unpacked(*scaled(weights[_LAYER], precision))}

    subject = healthy.artifact(precision=INT8)
    with patch.object(writing, "packed", scaled), patch.object(writing, "rounded", as_stored):
        writing.save_safetensors(subject.path, healthy.checkpoint, precision=INT8)
    yield _rewritten(subject)


class _LastWins(TorchFunctionMode):
    """Sums over neighbours keep the last contribution."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        if func is torch.Tensor.index_add:
            target, dim, index, source = args
            return target.index_copy(dim, index, source)
        return func(*args, **(kwargs or {}))


@fault(caught_by=["artifact_matches"], seen_in="pytorch/pytorch#55747")
def scatter_without_reduction(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """Of several contributions to an atom the last is kept.

    A scatter whose reduction the exporter lost. It is the one fault that made the ONNX file of the
    team that this project was made for wrong by 4 eV.
    """
    subject = healthy.artifact()
    inner = subject.potential

    class Potential(ChangedPotential):
        def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
            with _LastWins():
                return inner(batch, stress=stress)

    subject.potential = Potential(inner)
    yield subject


@fault(caught_by=["artifact_matches"], seen_in="pytorch/pytorch#55747")
def onnx_scatter_without_reduction(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The ONNX file's own scatters do not add.

    As above, in a real file: the attribute is taken out, and the file is valid.
    """
    onnx = import_optional("onnx", extra="export")
    subject = healthy.artifact("onnx")
    model = onnx.load(subject.path)
    for node in model.graph.node:
        kept = [a for a in node.attribute if a.name != "reduction"]
        if node.op_type.startswith("Scatter"):
            del node.attribute[:]
            node.attribute.extend(kept)
    onnx.save(model, subject.path)
    yield _rewritten(subject)


@fault(caught_by=["artifact_loads"])
def onnx_of_another_opset(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The ONNX file says that its operators are those of another opset.

    The meaning of operators changes with it: sums had their axes elsewhere, scatters could not add.
    """
    onnx = import_optional("onnx", extra="export")
    subject = healthy.artifact("onnx")
    model = onnx.load(subject.path)
    model.opset_import[0].version = 12
    onnx.save(model, subject.path)
    yield _rewritten(subject)


@fault(caught_by=["artifact_dynamic_shapes"])
def baked_number_of_atoms(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The file takes as many atoms as its example had, and no others.

    Sizes that tracing turned into constants.
    """

    def as_traced(batch: Batch) -> Batch:
        if len(batch.numbers) != _TRACED:
            raise RuntimeError(f"expected {_TRACED} atoms, got {len(batch.numbers)}")
        return batch

    yield with_input(healthy.artifact(), as_traced)


@fault(caught_by=["artifact_dynamic_shapes"])
def one_structure_only(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The file takes batches of one structure only.

    An example of one structure, whose index is all zeros.
    """

    def single(batch: Batch) -> Batch:
        if len(batch) != 1:
            raise RuntimeError(f"expected 1 structure, got {len(batch)}")
        return batch

    yield with_input(healthy.artifact(), single)


@fault(caught_by=["artifact_dynamic_shapes"])
def baked_number_of_forces(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The file returns forces for as many atoms as its example had.

    A buffer of fixed size behind the output.
    """
    yield with_output(healthy.artifact(), lambda batch, p: replace(p, forces=p.forces[:_TRACED]))


@fault(caught_by=["artifact_matches"])
def baked_edges(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The first edges of every batch are those of the example.

    A neighbour list that was computed while tracing, and became a constant.
    """
    example: list[Tensor] = []

    def first_seen(batch: Batch) -> Batch:
        if not example:
            example.append(batch.edge_index.clone())
        count = min(example[0].shape[1], batch.edge_index.shape[1])
        edges = batch.edge_index.clone()
        edges[:, :count] = example[0][:, :count].clamp(max=len(batch.numbers) - 1)
        return replace(batch, edge_index=edges)

    yield with_input(healthy.artifact(), first_seen)


@fault(caught_by=["artifact_dynamic_shapes"], seen_in="openmm/openmm-ml#136")
def odd_number_of_atoms(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The last atom of an odd number feels no force.

    A vectorized loop that leaves out the remainder.
    """

    def without_remainder(_: Batch, prediction: Prediction) -> Prediction:
        forces = prediction.forces.clone()
        if len(forces) % 2:
            forces[-1] = 0
        return replace(prediction, forces=forces)

    yield with_output(healthy.artifact(), without_remainder)


@fault(caught_by=["artifact_dynamic_shapes"], sizes=[1e-6, 1e-5, 1e-4, 1e-3], unit="eV", limit=1e-4)
def lone_atoms_in_a_file(healthy: Healthy, size: float) -> Iterator[ArtifactSubject]:
    """An atom without neighbours has another energy in the file.

    A sum over no edges that is not zero.
    """

    def extra(batch: Batch, prediction: Prediction) -> Prediction:
        neighbours = torch.bincount(batch.edge_index[1], minlength=len(batch.numbers))
        lone = size * (neighbours == 0).double()
        energy = prediction.energy.index_add(0, batch.structure_index, lone)
        return replace(prediction, energy=energy)

    yield with_output(healthy.artifact(), extra)


@fault(
    caught_by=["artifact_matches"],
    sizes=[1e-6, 1e-5, 1e-4, 1e-3, 1e-2],
    unit="relative",
    limit=1e-2,
)
def first_atom_scaled(healthy: Healthy, size: float) -> Iterator[ArtifactSubject]:
    """The force on the first atom of a batch is too large.

    A race between the first write and the last.
    """

    def first(_: Batch, prediction: Prediction) -> Prediction:
        forces = prediction.forces.clone()
        forces[0] *= 1 + size
        return replace(prediction, forces=forces)

    yield with_output(healthy.artifact(), first)


@fault(caught_by=["artifact_matches"])
def virial_sign(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """The virial of the file has the other sign.

    The file returns a strain derivative, and its reader takes it for a virial.
    """

    def opposite(_: Batch, prediction: Prediction) -> Prediction:
        return replace(prediction, stress=None if prediction.stress is None else -prediction.stress)

    yield with_output(healthy.artifact(), opposite)


@fault(caught_by=["artifact_matches"])
def norm_optimized_away(healthy: Healthy) -> Iterator[ArtifactSubject]:
    """Straight molecules have forces that are not numbers.

    An ONNX optimizer that removes additions of small constants, among them the one under a root.
    """

    def poisoned(batch: Batch, prediction: Prediction) -> Prediction:
        if batch.numbers[:3].tolist() != [6, 8, 8]:
            return prediction
        return replace(prediction, forces=torch.full_like(prediction.forces, torch.nan))

    yield with_output(healthy.artifact(), poisoned)
