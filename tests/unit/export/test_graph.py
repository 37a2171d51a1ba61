"""The graph that all formats are made from means what the student means, at any size."""

import operator

import pytest
import torch
from export_cases import BATCHES, WATER, skewed_cell, small_student

from mlffd.export.graph import exported_program, inputs_of, outputs_of, trace
from mlffd.structures.batch import collate

ALMOST = {"rtol": 0.0, "atol": 1e-10}


@pytest.fixture(scope="module")
def graph(student):
    return trace(student)


def batch_of(student, structures, **options):
    return collate(structures, student.cutoff, periodic=student.honours_cells, **options)


@pytest.mark.parametrize("case", BATCHES)
def test_it_gives_the_energies_and_forces_of_the_student(student, graph, case):
    batch = batch_of(student, BATCHES[case])

    energy, forces, *_ = graph(*inputs_of(batch))

    expected = student(batch)
    torch.testing.assert_close(energy, expected.energy, **ALMOST)
    torch.testing.assert_close(forces, expected.forces, **ALMOST)


def test_the_virial_is_minus_stress_times_volume():
    student = small_student(2)
    batch = batch_of(student, [skewed_cell(), skewed_cell()])

    _, _, virial = trace(student)(*inputs_of(batch))

    stress = student(batch, stress=True).stress
    expected = -stress * batch.volumes()[:, None, None]
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(virial, expected, **ALMOST)


def test_only_students_that_know_cells_have_a_virial(student, graph):
    outputs = graph(*inputs_of(batch_of(student, [WATER])))

    assert len(outputs) == len(outputs_of(student))
    assert ("virial" in outputs_of(student)) is student.honours_cells


def test_energies_stay_float64_in_a_float32_graph():
    student = small_student(2, torch.float32)
    batch = batch_of(student, [WATER], dtype=torch.float32)

    energy, forces, _ = trace(student)(*inputs_of(batch))

    assert (energy.dtype, forces.dtype) == (torch.float64, torch.float32)


def test_no_size_of_the_example_is_baked(graph):
    """Sizes may only come from the inputs; 15 atoms in 3 structures are the example's."""
    numbers = {
        argument
        for node in graph.graph.nodes
        if node.op == "call_function" and node.target is not operator.getitem
        for argument in torch.utils._pytree.tree_leaves((node.args, node.kwargs))
        if isinstance(argument, int)
    }

    assert not numbers & {15, 17}


def test_the_graph_has_no_autograd_and_no_scatter_of_slices(graph):
    names = {str(node.target) for node in graph.graph.nodes}

    assert not any("backward" in name or "autograd" in name for name in names), names


@pytest.fixture(scope="module")
def program(student):
    return exported_program(student).module()


@pytest.mark.parametrize("case", ["one atom", "isolated first", "many"])
def test_the_exported_program_is_dynamic_too(student, program, case):
    batch = batch_of(student, BATCHES[case])

    energy, forces, *_ = program(*inputs_of(batch))

    expected = student(batch)
    torch.testing.assert_close(energy, expected.energy, **ALMOST)
    torch.testing.assert_close(forces, expected.forces, **ALMOST)


def test_inputs_are_contiguous_because_some_runtimes_read_no_strides():
    batch = batch_of(small_student(2), [WATER])
    strided = torch.empty(6, 2, dtype=torch.int64).t()
    strided.copy_(batch.edge_index)
    object.__setattr__(batch, "edge_index", strided)

    assert all(tensor.is_contiguous() for tensor in inputs_of(batch))


def test_half_a_neighbour_list_is_refused():
    batch = batch_of(small_student(2), [WATER], half_list=True)

    with pytest.raises(ValueError, match="both directions"):
        inputs_of(batch)
