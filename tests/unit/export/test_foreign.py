"""A model exported by somebody else is judged: what stops it, what it loses, how wrong it is."""

import copy
import os
import warnings

import h5py
import numpy as np
import onnx
import pytest
import torch
from export_cases import DIATOMIC, ETHANOL, OXYGEN_ATOM, WATER, small_student
from onnx import TensorProto, helper
from torch import nn

from mlffd.checkpoints import read_checkpoint, save_checkpoint
from mlffd.errors import InputError
from mlffd.export.foreign import diagnose
from mlffd.export.foreign_kernels import load_error, replace_unloadable
from mlffd.export.foreign_model import read_model
from mlffd.export.foreign_signature import guess_signature
from mlffd.export.foreign_sums import make_add, overwriting_sums
from mlffd.runtimes.foreign_onnx import ForeignOnnxPotential
from mlffd.runtimes.potential import predict
from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure

MOLECULES = [OXYGEN_ATOM, WATER, ETHANOL]


class Energy(nn.Module):
    """What people export: a student's energy, of a batch."""

    def __init__(self, student):
        super().__init__()
        self.student = student

    def forward(self, atomic_numbers, pos, edge_index, batch, natoms):
        source, destination = edge_index[0], edge_index[1]
        vectors = pos[source] - pos[destination]
        atomic = self.student.atomic_energies(atomic_numbers, vectors, edge_index).float()
        return atomic.new_zeros(natoms.shape[0]).index_add(0, batch, atomic)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "small.pt"
    save_checkpoint(path, small_student(1, torch.float32), elements=[1, 6, 8], training={})
    return read_checkpoint(path)


@pytest.fixture(scope="module")
def overwriting(reference, tmp_path_factory):
    """The planted fault: the exporter that is not based on dynamo, and what it does to a sum."""
    batch = collate([WATER, ETHANOL], 5.0, dtype=torch.float32)
    arguments = (
        batch.numbers,
        batch.positions,
        batch.edge_index,
        batch.structure_index,
        batch.atom_counts,
    )
    path = tmp_path_factory.mktemp("foreign") / "overwriting.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is deprecated, and that sums are wrong
        torch.onnx.export(
            Energy(reference.student()),
            arguments,
            path,
            dynamo=False,
            input_names=["atomic_numbers", "pos", "edge_index", "batch", "natoms"],
            output_names=["energy"],
            dynamic_axes={
                "atomic_numbers": {0: "n"},
                "pos": {0: "n"},
                "edge_index": {1: "e"},
                "batch": {0: "n"},
                "natoms": {0: "b"},
            },
            opset_version=14,
        )
    return path


@pytest.fixture(scope="module")
def right(overwriting, tmp_path_factory):
    """The same file with sums that add."""
    model = read_model(overwriting)
    path = tmp_path_factory.mktemp("foreign") / "right.onnx"
    onnx.save(make_add(model, overwriting_sums(model)), path)
    return path


def model_of(nodes, inputs, outputs, initial=(), opset=18, **more):
    """A model; inputs and outputs as (name, type, shape)."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*item) for item in inputs],
        [helper.make_tensor_value_info(*item) for item in outputs],
        list(initial),
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("acme", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)


def saved(model, folder, name="model.onnx"):
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


NUMBERS = ("numbers", TensorProto.INT64, ["n"])
POSITIONS = ("positions", TensorProto.FLOAT, ["n", 3])
ENERGY = ("energy", TensorProto.FLOAT, [])


def constant_energy(*, inputs=(NUMBERS, POSITIONS), before=(), initial=()):
    """An energy that is the sum of the positions."""
    return model_of(
        [*before, helper.make_node("ReduceSum", ["positions"], ["energy"], keepdims=0)],
        inputs,
        [ENERGY],
        initial,
    )


def test_a_file_that_is_fine_passes(right, reference):
    diagnosis = diagnose(right, reference, MOLECULES)

    assert diagnosis.passes()
    assert diagnosis.loads
    assert diagnosis.sums == ()
    assert diagnosis.replaced == ()
    assert diagnosis.mended is None
    # Each alone, and all in one batch.
    assert diagnosis.measured.structures == 6
    assert diagnosis.measured.energy_per_atom < 1e-6
    assert diagnosis.lines()[0] == "loads in onnxruntime"


def test_sums_that_lose_contributions_are_named_and_shown_to_be_the_cause(overwriting, reference):
    diagnosis = diagnose(overwriting, reference, MOLECULES)

    assert diagnosis.loads
    assert not diagnosis.passes()
    scatters = [node for node in onnx.load(overwriting).graph.node if "Scatter" in node.op_type]
    # Two layers with scalars and vectors each, and the sum over atoms.
    assert len(scatters) == 5
    assert [item.node for item in diagnosis.lossy_sums] == [node.name for node in scatters]
    assert diagnosis.measured.energy > 0.1
    assert diagnosis.mended.energy < 1e-5
    text = "\n".join(diagnosis.lines())
    assert "5 sums lose contributions: ScatterElements without reduction='add'" in text
    assert scatters[0].name in text
    assert "that is the cause" in text


def test_what_a_sum_loses_is_counted_where_it_loses_most(overwriting, reference):
    diagnosis = diagnose(overwriting, reference, [WATER, ETHANOL])

    # All 9 atoms of ethanol are neighbours: 72 edges, of which each atom keeps one; 8 features.
    first = diagnosis.sums[0]
    assert (first.values, first.lost) == (72 * 8, 63 * 8)
    # The sum over atoms keeps one of nine.
    assert (diagnosis.sums[-1].values, diagnosis.sums[-1].lost) == (9, 8)


def test_structures_in_which_no_index_comes_twice_do_not_accuse_a_sum(overwriting, reference):
    """And one should not trust them: a lone atom is right, because nothing is summed."""
    diagnosis = diagnose(overwriting, reference, [OXYGEN_ATOM])

    assert diagnosis.passes()
    assert diagnosis.lossy_sums == ()
    assert [item.lost for item in diagnosis.sums] == [0] * 5
    assert any("overwrites, but no index came twice" in line for line in diagnosis.lines())


def test_the_weights_of_another_student_are_not_blamed_on_sums(overwriting, tmp_path):
    torch.manual_seed(7)
    other = small_student(1, torch.float32)
    with torch.no_grad():
        other.energy_head[-1].bias += 3.0
    save_checkpoint(tmp_path / "other.pt", other, elements=[1, 6, 8], training={})

    diagnosis = diagnose(overwriting, read_checkpoint(tmp_path / "other.pt"), MOLECULES)

    assert diagnosis.mended.energy > 1.0
    assert any("that is not the only cause" in line for line in diagnosis.lines())


def test_a_batch_is_compared_too_if_the_model_takes_batches(right, reference, tmp_path):
    """The planted fault: every atom is counted to the first structure."""
    model = onnx.load(right)
    for node in model.graph.node:
        node.input[:] = ["first" if name == "batch" else name for name in node.input]
    nodes = copy.deepcopy(list(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend([helper.make_node("Sub", ["batch", "batch"], ["first"]), *nodes])

    alone = diagnose(saved(model, tmp_path), reference, [ETHANOL])
    together = diagnose(saved(model, tmp_path), reference, MOLECULES)

    assert alone.passes()
    assert not together.passes()


@pytest.mark.parametrize("opset", [14, 18])
def test_an_operator_without_a_kernel_is_named_and_computed_in_another_type(opset):
    model = model_of(
        [
            helper.make_node("ReduceL2", ["x"], ["unused"], name="other"),
            helper.make_node("Greater", ["x", "zero"], ["mask"], name="above"),
            helper.make_node("EyeLike", ["mask"], ["eye"], name="the eye"),
            helper.make_node("Cast", ["eye"], ["y"], to=TensorProto.FLOAT, name="out"),
        ],
        [("x", TensorProto.FLOAT, ["n", "n"])],
        [("y", TensorProto.FLOAT, ["n", "n"])],
        [helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])],
        opset=opset,
    )

    error = load_error(model)
    mended, replaced = replace_unloadable(model)

    assert (error.operator, error.type, error.node) == ("EyeLike", "bool", "the eye")
    assert load_error(mended) is None
    (change,) = replaced
    assert (change.node, change.operator, change.type) == ("the eye", "EyeLike", "bool")
    assert load_error(model) == error  # the original is left as it was
    # All other nodes are still there.
    assert {node.name for node in model.graph.node} <= {node.name for node in mended.graph.node}


def test_several_operators_without_kernels_are_replaced_one_after_another():
    model = model_of(
        [
            helper.make_node("Not", ["x"], ["mask"], name="not"),
            helper.make_node("EyeLike", ["mask"], ["a"], name="first"),
            helper.make_node("EyeLike", ["mask"], ["b"], name="second", k=1),
            helper.make_node("Or", ["a", "b"], ["y"], name="or"),
        ],
        [("x", TensorProto.BOOL, ["n", "n"])],
        [("y", TensorProto.BOOL, ["n", "n"])],
    )

    mended, replaced = replace_unloadable(model)

    assert load_error(mended) is None
    assert {item.node for item in replaced} == {"first", "second"}


def test_an_operator_of_somebodys_own_cannot_be_replaced(reference, tmp_path):
    own = helper.make_node("Secret", ["positions"], ["x"], domain="acme")
    path = saved(constant_energy(before=[own]), tmp_path)

    diagnosis = diagnose(path, reference, [WATER])

    assert not diagnosis.loads
    assert not diagnosis.passes()
    assert diagnosis.measured is None
    assert diagnosis.load_error.operator is None
    assert "acme" in diagnosis.lines()[0]


def scatter(indices, *, reduction=None, element=TensorProto.FLOAT):
    """Energy: the sum of positions scattered to three rows by constant indices."""
    attributes = {} if reduction is None else {"reduction": reduction}
    nodes = [
        helper.make_node("Cast", ["positions"], ["values"], to=element),
        helper.make_node(
            "ScatterND", ["rows", "indices", "values"], ["sums"], name="scatter", **attributes
        ),
        helper.make_node("Cast", ["sums"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats"], ["energy"], keepdims=0),
    ]
    initial = [
        helper.make_tensor("rows", element, [3, 3], [0] * 9),
        helper.make_tensor("indices", TensorProto.INT64, [3, 1], indices),
    ]
    return model_of(nodes, [NUMBERS, POSITIONS], [ENERGY], initial)


@pytest.mark.parametrize(
    ("model", "lost"),
    [
        (scatter([0, 2, 0]), [1]),
        (scatter([1, 1, 1]), [2]),
        (scatter([0, 2, 1]), [0]),
        (scatter([0, 2, 0], reduction="add"), []),
        (scatter([0, 2, 0], element=TensorProto.INT64), []),
    ],
    ids=["one twice", "one three times", "assignment", "adds", "integers"],
)
def test_scatters_overwrite_only_where_an_index_repeats(model, lost, reference, tmp_path):
    diagnosis = diagnose(saved(model, tmp_path), reference, [WATER])

    assert [item.lost for item in diagnosis.sums] == lost


def test_a_sum_that_races_in_onnxruntime_is_noted(reference, tmp_path):
    path = saved(scatter([0, 2, 0], reduction="add"), tmp_path)

    (note,) = diagnose(path, reference, [WATER]).notes

    assert "ScatterND" in note


def test_nodes_without_names_are_told_by_operator_and_place(tmp_path):
    model = scatter([0, 2, 0])
    for node in model.graph.node:
        node.name = ""

    (found,) = overwriting_sums(read_model(saved(model, tmp_path)))

    assert found.node == "ScatterND#2"


def signature(*inputs, outputs=(ENERGY,)):
    return guess_signature(model_of([], inputs, outputs))


def test_inputs_are_told_by_their_names():
    found = signature(
        ("Z", TensorProto.INT32, ["n"]),
        ("coordinates", TensorProto.DOUBLE, ["n", 3]),
        ("edge_index", TensorProto.INT64, [2, "e"]),
        ("edge_shifts", TensorProto.FLOAT, ["e", 3]),
        ("batch", TensorProto.INT64, ["n"]),
        ("n_atoms", TensorProto.INT64, ["b"]),
        ("cell", TensorProto.FLOAT, ["b", 3, 3]),
        ("pbc", TensorProto.BOOL, ["b", 3]),
    )

    assert [item.role for item in found.inputs] == [
        "numbers",
        "positions",
        "edge_index",
        "shifts",
        "structure_index",
        "atom_counts",
        "cells",
        "pbc",
    ]
    assert found.takes_batches
    assert found.baked == found.unknown == ()


def test_inputs_without_telling_names_are_told_by_dtype_and_shape():
    found = signature(
        ("input.1", TensorProto.INT64, ["n"]),
        ("input.2", TensorProto.FLOAT, ["n", 3]),
        ("input.3", TensorProto.INT64, ["e", 2]),
    )

    assert [item.role for item in found.inputs] == ["numbers", "positions", "edge_index"]
    assert found.inputs[2].transposed
    assert not found.takes_batches


@pytest.mark.parametrize(
    "inputs",
    [
        [NUMBERS, ("a", TensorProto.FLOAT, ["n", 3]), ("b", TensorProto.FLOAT, ["n", 3])],
        [NUMBERS, POSITIONS, ("temperature", TensorProto.FLOAT, [1])],
        [NUMBERS, ("positions", TensorProto.FLOAT, ["n", 4])],
        [("numbers", TensorProto.STRING, ["n"]), POSITIONS],
        [NUMBERS, POSITIONS, ("pos", TensorProto.FLOAT, ["n", 3])],
    ],
    ids=["two alike", "no array of a batch", "wrong shape", "text", "two of one name"],
)
def test_inputs_that_cannot_be_told_are_not_guessed(inputs):
    assert signature(*inputs).unknown


def test_a_model_with_an_unknown_input_is_not_measured(reference, tmp_path):
    temperature = ("temperature", TensorProto.FLOAT, [1])
    path = saved(constant_energy(inputs=[NUMBERS, POSITIONS, temperature]), tmp_path)

    diagnosis = diagnose(path, reference, [WATER])

    assert diagnosis.measured is None
    assert not diagnosis.passes()
    text = "\n".join(diagnosis.lines())
    assert "input 'temperature' float32 [1]: nobody can tell what it is" in text
    assert "not measured" in text


def test_sizes_that_the_model_fixes_are_named_and_compared_where_they_fit(reference, tmp_path):
    fixed = [("numbers", TensorProto.INT64, [3]), ("positions", TensorProto.FLOAT, [3, 3])]
    path = saved(constant_energy(inputs=fixed), tmp_path)

    diagnosis = diagnose(path, reference, MOLECULES)

    assert [item.baked for item in diagnosis.signature.baked] == [(("atoms", 3),)] * 2
    assert (diagnosis.measured.structures, diagnosis.measured.skipped) == (1, 2)
    assert diagnosis.measured.worst == WATER.label
    assert not diagnosis.passes(energy_per_atom=np.inf)
    assert any("takes 3 atoms only (baked)" in line for line in diagnosis.lines())


def test_nothing_compared_does_not_pass(right, reference):
    diagnosis = diagnose(right, reference, [])

    assert diagnosis.measured.structures == 0
    assert not diagnosis.passes(energy_per_atom=np.inf)


def test_structures_that_fail_in_the_runtime_do_not_pass(reference, tmp_path):
    """The planted fault: a size baked inside, where the inputs do not show it."""
    model = constant_energy(
        before=[helper.make_node("Reshape", ["positions", "shape"], ["x"])],
        initial=[helper.make_tensor("shape", TensorProto.INT64, [2], [3, 3])],
    )

    diagnosis = diagnose(saved(model, tmp_path), reference, [WATER, DIATOMIC])

    (failure,) = diagnosis.measured.failed
    assert "Reshape" in failure
    assert diagnosis.measured.structures == 1
    assert not diagnosis.passes(energy_per_atom=np.inf)


def test_energies_that_are_not_finite_are_infinitely_wrong(reference, tmp_path):
    model = constant_energy()
    model.graph.node[-1].output[0] = "sum"
    model.graph.node.append(helper.make_node("Div", ["sum", "zero"], ["energy"]))
    model.graph.initializer.append(helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]))

    diagnosis = diagnose(saved(model, tmp_path), reference, [WATER])

    assert diagnosis.measured.energy == np.inf


def test_forces_are_compared_if_the_model_gives_them(reference, tmp_path):
    model = constant_energy(before=[helper.make_node("Neg", ["positions"], ["forces"])])
    model.graph.output.append(helper.make_tensor_value_info("forces", TensorProto.FLOAT, ["n", 3]))

    diagnosis = diagnose(saved(model, tmp_path), reference, [WATER])

    assert diagnosis.signature.forces == "forces"
    assert 0.01 < diagnosis.measured.forces < np.inf
    assert not diagnosis.passes(energy_per_atom=np.inf)


def test_a_foreign_model_is_a_potential_for_batches(right, reference):
    model = read_model(right)
    student = reference.student(dtype=torch.float64)
    potential = ForeignOnnxPotential(
        model.SerializeToString(), guess_signature(model), student, path=right
    )

    found = predict(potential, MOLECULES)

    assert not potential.has_forces
    for structure, prediction in zip(MOLECULES, found, strict=True):
        expected = student(collate([structure], student.cutoff)).energy.item()
        assert prediction.energy == pytest.approx(expected, abs=1e-5)
        assert prediction.forces.shape == structure.positions.shape
        assert np.isnan(prediction.forces).all()
    with pytest.raises(ValueError, match="stress"):
        potential(collate([WATER], student.cutoff), stress=True)


def test_a_model_of_one_molecule_gets_the_structures_of_a_batch_in_turn(reference, tmp_path):
    model = read_model(saved(constant_energy(), tmp_path))
    potential = ForeignOnnxPotential(
        model.SerializeToString(), guess_signature(model), reference.student(), path=tmp_path
    )

    found = predict(potential, MOLECULES)

    assert [item.energy for item in found] == [
        pytest.approx(structure.positions.sum(), abs=1e-5) for structure in MOLECULES
    ]


def test_a_sum_inside_a_branch_is_found_and_mended_though_its_indices_are_not_seen(
    reference, tmp_path
):
    """Both branches overwrite."""
    model = scatter([0, 2, 0])
    node = model.graph.node[1]
    branch = helper.make_graph(
        [copy.deepcopy(node)],
        "branch",
        [],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, [3, 3])],
    )
    choice = helper.make_node("If", ["yes"], ["sums"], then_branch=branch, else_branch=branch)
    nodes = copy.deepcopy([model.graph.node[0], choice, *model.graph.node[2:]])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for number, attribute in enumerate(model.graph.node[1].attribute):
        attribute.g.node[0].output[0] = f"sums_{number}"
        attribute.g.output[0].name = f"sums_{number}"
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))

    diagnosis = diagnose(saved(model, tmp_path), reference, [WATER])

    assert [item.lost for item in diagnosis.lossy_sums] == [None, None]
    assert diagnosis.mended.energy != pytest.approx(diagnosis.measured.energy, abs=1e-3)


def test_local_functions_are_looked_into(tmp_path):
    body = helper.make_function(
        "acme",
        "Sum",
        ["rows", "indices", "values"],
        ["sums"],
        [helper.make_node("ScatterND", ["rows", "indices", "values"], ["sums"])],
        [helper.make_opsetid("", 18)],
    )
    model = scatter([0, 2, 0])
    call = model.graph.node[1]
    call.op_type, call.domain = "Sum", "acme"
    model.functions.append(body)

    assert len(overwriting_sums(read_model(saved(model, tmp_path)))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a valid ONNX model"),
        (b"hello world " * 40, "damaged or truncated, or no ONNX model"),
        (b"PK\x03\x04" + bytes(100), "damaged or truncated, or no ONNX model"),
    ],
    ids=["empty", "text", "zip"],
)
def test_garbage_is_refused(content, message, reference, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(InputError, match=message) as error:
        diagnose(path, reference, [WATER])
    assert str(path) in str(error.value)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(part, right, tmp_path):
    data = right.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(part * len(data))])

    with pytest.raises(InputError, match=r"cut\.onnx"):
        read_model(path)


def test_a_model_that_breaks_the_rules_of_onnx_is_refused(tmp_path):
    model = constant_energy()
    model.graph.node[0].input[0] = "nowhere"

    with pytest.raises(InputError, match="not a valid ONNX model"):
        read_model(saved(model, tmp_path))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.onnx"
    path.touch()
    os.truncate(path, 2**40)  # sparse: takes no space

    with pytest.raises(InputError, match="expected at most"):
        read_model(path)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")

    for path in (tmp_path, tmp_path / "pipe.onnx"):
        with pytest.raises(InputError, match="not a regular file"):
            read_model(path)
    with pytest.raises(InputError, match="not found"):
        read_model(tmp_path / "missing.onnx")


def test_a_tensor_of_absurd_size_is_refused_before_it_is_made(tmp_path):
    model = constant_energy(
        before=[helper.make_node("ConstantOfShape", ["shape"], ["huge"])],
        initial=[helper.make_tensor("shape", TensorProto.INT64, [2], [10**6, 10**6])],
    )

    with pytest.raises(InputError, match="'huge' of shape"):
        read_model(saved(model, tmp_path))


def with_external(location, folder, **entries):
    """A model that has three numbers in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    add = helper.make_node("Add", ["positions", "w"], ["x"])
    return saved(constant_energy(before=[add], initial=[tensor]), folder)


def test_weights_beside_the_model_are_read(tmp_path):
    (tmp_path / "weights.bin").write_bytes(np.arange(3, dtype=np.float32).tobytes())

    model = read_model(with_external("weights.bin", tmp_path, offset=0, length=12))

    (tensor,) = model.graph.initializer
    assert onnx.numpy_helper.to_array(tensor).tolist() == [0.0, 1.0, 2.0]
    assert load_error(model) is None


@pytest.mark.parametrize("location", ["../secret.bin", "link.bin", "", "absolute"])
def test_files_outside_the_models_folder_are_not_opened(location, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(12))
    (folder / "link.bin").symlink_to(secret)
    location = str(secret) if location == "absolute" else location

    with pytest.raises(InputError, match="expected a file in the model's folder: refused"):
        read_model(with_external(location, folder))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"length": 10**12}, "of 12: refused"),
        ({"offset": -4, "length": 4}, "of 12: refused"),
        ({"length": "many"}, "invalid literal"),
    ],
    ids=["too long", "before the start", "no number"],
)
def test_external_data_stay_within_their_file(entries, message, tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(12))

    with pytest.raises(InputError, match=message):
        read_model(with_external("weights.bin", tmp_path, **entries))


def test_external_data_count_towards_the_size(tmp_path):
    (tmp_path / "weights.bin").touch()
    os.truncate(tmp_path / "weights.bin", 2**40)

    with pytest.raises(InputError, match="too large together"):
        read_model(with_external("weights.bin", tmp_path))


def test_names_of_the_file_cannot_command_a_terminal(reference, tmp_path):
    model = scatter([0, 2, 0])
    model.graph.node[1].name = "evil\x1b[2J\nname"

    lines = diagnose(saved(model, tmp_path), reference, [WATER]).lines()

    assert all(line.isprintable() for line in lines)


@pytest.fixture
def upstream_file(upstream):
    path = upstream / "original_model.onnx"
    if not path.is_file():
        pytest.skip(f"the upstream export is not here: {path}")
    return path


def test_the_upstream_export_is_found_out(upstream, upstream_file):
    with h5py.File(upstream / "reference.h5") as file:
        structures = [
            Structure(group["numbers"][()], group["positions"][()], name=key)
            for key, group in file.items()
            if key.endswith("__rattled") and len(group["numbers"]) <= 12
        ]
    assert len(structures) > 20

    diagnosis = diagnose(upstream_file, read_checkpoint(upstream / "original.pt"), structures)

    error = diagnosis.load_error
    assert (error.operator, error.type, error.node) == ("EyeLike", "bool", "/EyeLike")
    assert [item.node for item in diagnosis.replaced] == ["/EyeLike"]
    assert [item.role for item in diagnosis.signature.inputs] == ["numbers", "positions"]
    assert {item.node for item in diagnosis.lossy_sums} == {
        f"/interactions.{layer}/message/ScatterElements{end}"
        for layer in range(3)
        for end in ("", "_1")
    }
    assert 1.0 < diagnosis.measured.energy_median < 20.0
    assert diagnosis.mended.energy < 1e-4
    assert not diagnosis.passes()
    text = "\n".join(diagnosis.lines())
    assert "does not load in onnxruntime: it has no 'EyeLike' for type bool" in text
    assert "6 sums lose contributions" in text
    assert "that is the cause" in text
