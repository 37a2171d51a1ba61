"""An ONNX file is its student, in float64 too, and holds nothing but it."""

from pathlib import Path

import pytest
import torch
from torch_samples import manifest_of, problems, sample_student

pytest.importorskip("onnxscript")
import onnx

import mlffd.export.onnx
from mlffd.errors import InputError
from mlffd.export.onnx import OPSETS, write, write_molecule
from mlffd.runtimes.onnxruntime import OnnxPotential

WRITERS = {"onnx": write, "onnx-molecule": write_molecule}


class Sample:
    """A student, and the file that it was written to."""

    def __init__(self, folder, format_name, revision, precision, opset, layers):
        self.student = sample_student(revision, precision, layers=layers)
        self.precision, self.opset = precision, opset
        self.path = folder / "sample.onnx"
        self.written = WRITERS[format_name](self.student, self.path, opset=opset)
        self.manifest = manifest_of(self.student, format_name, precision, **vars(self.written))


@pytest.fixture(
    scope="module",
    params=[("onnx", 2, "fp32", 18, 2), ("onnx-molecule", 1, "fp64", 23, 1)],
    ids=lambda values: "-".join(map(str, values)),
)
def sample(request, tmp_path_factory):
    """Warnings are errors: none may come through."""
    return Sample(tmp_path_factory.mktemp("onnx"), *request.param)


@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_the_student_at_any_size_again_and_in_two_python_threads(sample, threads):
    """Sizes 1 to 1,000, no edges, isolated atoms, skewed cells; energies, forces and virials."""
    potential = OnnxPotential(sample.path, sample.manifest, threads=threads)

    assert problems(potential, sample.student, sample.precision) == []


def test_onnxruntime_has_nothing_to_warn_of(sample, capfd):
    OnnxPotential(sample.path, sample.manifest)

    assert capfd.readouterr() == ("", "")


def test_it_is_valid_and_of_the_opset_that_was_asked_for(sample):
    model = onnx.load(sample.path)

    onnx.checker.check_model(model, full_check=True)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", sample.opset)]
    assert sample.written.versions["opset"] == str(sample.opset)


def test_sizes_of_inputs_and_outputs_are_those_of_the_manifest(sample):
    graph = onnx.load(sample.path).graph

    for values, specs in (
        (graph.input, sample.manifest.inputs),
        (graph.output, sample.manifest.outputs),
    ):
        for value, spec in zip(values, specs, strict=True):
            tensor = value.type.tensor_type
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            shape = tuple(dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
            assert (value.name, str(dtype), shape) == (spec.name, spec.dtype, spec.shape)


def test_it_is_little_larger_than_its_weights(sample):
    """Where each node comes from used to be ten times as much; and tells who made it."""
    weights = sum(w.nbytes for w in sample.student.state_dict().values())
    data = sample.path.read_bytes()

    assert len(data) < weights + 60_000
    assert str(Path(__file__).parents[3]).encode() not in data
    assert b"site-packages" not in data


def test_each_index_is_sorted_once(sample):
    """Of destinations, of sources, and of structures."""
    operators = [node.op_type for node in onnx.load(sample.path).graph.node]

    assert operators.count("TopK") <= 3


@pytest.mark.parametrize("opset", [OPSETS[0] - 1, OPSETS[-1] + 1])
def test_an_opset_that_was_not_tried_is_refused(opset, tmp_path):
    with pytest.raises(InputError, match=f"opset: {opset}, expected 18 to 23"):
        write(sample_student(2), tmp_path / "not.onnx", opset=opset)
    assert list(tmp_path.iterdir()) == []


class Overwrites(torch.nn.Module):
    """In place of a student's own graph: assigns to places by index."""

    def forward(self, numbers):
        return numbers.double().index_put([numbers], numbers.double())


def test_a_student_that_cannot_be_written_is_refused(monkeypatch, tmp_path):
    program = torch.export.export(Overwrites(), (torch.arange(3),))
    monkeypatch.setattr(mlffd.export.onnx, "exported_program", lambda _: program)

    with pytest.raises(InputError, match=r"cannot be written as ONNX: .*index_put"):
        write(sample_student(1), tmp_path / "not.onnx")
    assert list(tmp_path.iterdir()) == []
