"""onnxruntime computes where it was asked to, with the numbers that PyTorch has, and no others."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from ase.build import molecule
from torch_samples import manifest_of, sample_student

from mlffd.errors import InputError, MissingPackageError
from mlffd.export.graph import INPUTS, inputs_of
from mlffd.export.specs import (
    input_specs,
    molecule_input_specs,
    molecule_output_specs,
    output_specs,
)
from mlffd.runtimes.onnxruntime import OnnxPotential
from mlffd.runtimes.potential import collate_for
from mlffd.structures.structure import Structure

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

STUDENT = sample_student(2, "fp32")
WATER, ATOM = (Structure.from_atoms(molecule(name)) for name in ("H2O", "O"))

#: Results that tell which input became which output; a file of its kind, but quick to make.
BATCH = """
<ir_version: 8, opset_import: ["" : 18]>
batch (
    int64[atoms] numbers, float[atoms, 3] positions, int64[2, edges] edge_index,
    float[edges, 3] shifts, int64[atoms] structure_index, int64[structures] atom_counts
) => (double[structures] energy, float[atoms, 3] forces, float[structures, 3, 3] virial) {
    energy = Cast<to = 11>(atom_counts)
    forces = Identity(positions)
    cube = Constant<value_ints = [1, 3, 3]>()
    last = Constant<value_ints = [1, 2]>()
    counts = Cast<to = 1>(atom_counts)
    column = Unsqueeze(counts, last)
    virial = Expand(column, cube)
}
"""
MOLECULE = """
<ir_version: 8, opset_import: ["" : 18]>
molecule (int64[atoms] numbers, float[atoms, 3] positions)
=> (double[1] energy, float[atoms, 3] forces) {
    floats = Cast<to = 11>(numbers)
    energy = ReduceSum<keepdims = 1>(floats)
    forces = Neg(positions)
}
"""
#: Energies and forces of one structure, whatever it is given.
BAKED = BATCH.replace("Cast<to = 11>(atom_counts)", "Constant<value = double[1] {0.5}>()")


def manifest(format_name="onnx"):
    alone = format_name == "onnx-molecule"
    inputs, outputs = (
        (molecule_input_specs, molecule_output_specs) if alone else (input_specs, output_specs)
    )
    specs = {"inputs": inputs(STUDENT), "outputs": outputs(STUDENT)}
    return manifest_of(STUDENT, format_name, "fp32", **specs)


@pytest.fixture
def make_file(tmp_path):
    def make(text):
        onnx.save(onnx.parser.parse_model(text), tmp_path / "made.onnx")
        return tmp_path / "made.onnx"

    return make


@pytest.fixture
def potential(make_file):
    return OnnxPotential(make_file(BATCH), manifest())


def test_outputs_are_those_of_the_inputs_in_their_dtypes(potential):
    batch = collate_for(potential, [WATER, ATOM])

    energy, forces, virial = potential.run(inputs_of(batch))

    assert (energy.dtype, energy.tolist()) == (torch.float64, [3.0, 1.0])
    assert torch.equal(forces, batch.positions)
    assert virial[:, 0, 0].tolist() == [3.0, 1.0]


def test_the_virial_becomes_a_stress(potential):
    crystal = Structure([14], [[0, 0, 0]], cell=2.0 * torch.eye(3).numpy(), pbc=[True] * 3)

    stress = potential(collate_for(potential, [crystal]), stress=True).stress

    assert torch.equal(stress, torch.full((1, 3, 3), -1.0 / 8.0))


def test_no_edges_are_an_input_like_any_other(potential):
    batch = collate_for(potential, [ATOM])

    assert batch.edge_index.shape == (2, 0)
    assert potential(batch).energy.tolist() == [1.0]


def test_molecules_are_evaluated_one_by_one(make_file):
    potential = OnnxPotential(make_file(MOLECULE), manifest("onnx-molecule"))
    batch = collate_for(potential, [WATER, ATOM])

    found = potential(batch)

    assert found.energy.tolist() == [10.0, 8.0]
    assert torch.equal(found.forces, -batch.positions)


def test_the_callers_memory_is_read_and_not_copied(potential, monkeypatch):
    bound = {}
    original = onnxruntime.IOBinding.bind_input

    def bind(self, name, *arguments):
        bound[name] = arguments[-1]
        return original(self, name, *arguments)

    monkeypatch.setattr(onnxruntime.IOBinding, "bind_input", bind)
    inputs = inputs_of(collate_for(potential, [WATER]))

    potential.run(inputs)

    assert bound == dict(zip(INPUTS, [tensor.data_ptr() for tensor in inputs], strict=True))


def test_strides_are_heeded(potential):
    batch = collate_for(potential, [WATER])
    inputs = list(inputs_of(batch))
    inputs[1] = batch.positions.t().contiguous().t()

    assert torch.equal(potential.run(inputs)[1], batch.positions)


def test_positions_in_another_dtype_are_refused_and_not_misread(potential):
    batch = collate_for(potential, [WATER])
    inputs = list(inputs_of(batch))
    inputs[1] = inputs[1].double()

    with pytest.raises(RuntimeError, match="data type"):
        potential.run(inputs)


def test_an_output_of_another_size_than_the_manifest_promises_is_an_error(make_file):
    baked = OnnxPotential(make_file(BAKED), manifest())

    assert baked(collate_for(baked, [WATER])).energy.tolist() == [0.5]
    with pytest.raises(RuntimeError):
        baked(collate_for(baked, [WATER, ATOM]))


def test_several_threads_may_use_one_potential(potential):
    batches = [collate_for(potential, [WATER] * count) for count in range(1, 9)]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(potential, batches * 5))

    for prediction, batch in zip(found, batches * 5, strict=True):
        assert torch.equal(prediction.forces, batch.positions)


@pytest.mark.parametrize("threads", [1, 2, None])
def test_operators_use_so_many_threads(make_file, threads):
    potential = OnnxPotential(make_file(BATCH), manifest(), threads=threads)

    used = potential._session.get_session_options().intra_op_num_threads
    assert used == (threads or 0)  # zero: onnxruntime decides


@pytest.mark.parametrize(
    ("device", "provider"),
    [("cuda", "CUDAExecutionProvider"), ("tensorrt:1", "TensorrtExecutionProvider")],
)
def test_a_device_that_this_onnxruntime_cannot_use_is_refused(make_file, device, provider):
    if provider in onnxruntime.get_available_providers():
        pytest.skip(f"{provider} is here")
    with pytest.raises(InputError, match=f"'{device}': this onnxruntime has no {provider}"):
        OnnxPotential(make_file(BATCH), manifest(), device=device)


def test_a_device_that_onnxruntime_does_not_know_is_refused(make_file):
    with pytest.raises(InputError, match=r"'mps' is unknown .* cpu, cuda, tensorrt"):
        OnnxPotential(make_file(BATCH), manifest(), device="mps")


def test_onnxruntime_must_not_fall_back_to_another_provider(make_file, monkeypatch):
    """Which it does with no more than a line in its log, as when a library is missing."""
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "get_providers", lambda _: ["AzureExecutionProvider"]
    )

    with pytest.raises(InputError, match=r"uses AzureExecutionProvider, where CPU.* was asked for"):
        OnnxPotential(make_file(BATCH), manifest())


def test_another_file_is_refused(make_file, tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"not a model")

    for name in ("other.onnx", "missing.onnx"):
        with pytest.raises(InputError, match=rf"{name}: onnxruntime does not take it: \S"):
            OnnxPotential(tmp_path / name, manifest())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("atom_counts", "counts_of_atoms", "has numbers, .*, counts_of_atoms where its manifest"),
        ("virial", "stress", "has energy, forces, stress where its manifest"),
    ],
)
def test_a_file_that_the_manifest_does_not_describe_is_refused(make_file, old, new, reason):
    with pytest.raises(InputError, match=reason):
        OnnxPotential(make_file(BATCH.replace(old, new)), manifest())


def test_without_onnxruntime_the_extra_is_named(make_file, monkeypatch):
    path = make_file(BATCH)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(MissingPackageError, match=r"mlffd\[export\]"):
        OnnxPotential(path, manifest())
