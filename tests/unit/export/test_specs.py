"""What manifests say of tensors is what the graph takes and gives."""

import pytest
import torch
from export_cases import ETHANOL, OXYGEN_ATOM, WATER, small_student

from mlffd.export.graph import INPUTS, ForceField, inputs_of, outputs_of
from mlffd.export.neighbour_graph import molecule_inputs
from mlffd.export.specs import (
    input_specs,
    molecule_input_specs,
    molecule_output_specs,
    output_specs,
)
from mlffd.structures.batch import collate


def assert_described(specs, tensors, **sizes):
    for spec, tensor in zip(specs, tensors, strict=True):
        assert spec.dtype == str(tensor.dtype).removeprefix("torch."), spec.name
        assert [sizes.get(size, size) for size in spec.shape] == list(tensor.shape), spec.name
        assert spec.meaning


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("revision", [1, 2])
def test_of_a_batch(revision, dtype):
    student = small_student(revision, dtype)
    batch = collate([WATER, OXYGEN_ATOM, ETHANOL], student.cutoff, dtype=dtype)
    inputs = inputs_of(batch)
    sizes = {"atoms": 13, "edges": batch.edge_index.shape[1], "structures": 3}

    assert_described(input_specs(student), inputs, **sizes)
    assert_described(output_specs(student), ForceField(student)(*inputs), **sizes)
    assert tuple(spec.name for spec in input_specs(student)) == INPUTS
    assert tuple(spec.name for spec in output_specs(student)) == outputs_of(student)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_a_molecule(dtype):
    student = small_student(2, dtype)
    inputs = torch.tensor(WATER.numbers), torch.tensor(WATER.positions, dtype=dtype)
    outputs = ForceField(student)(*molecule_inputs(*inputs, student.cutoff))

    assert_described(molecule_input_specs(student), inputs, atoms=3)
    assert_described(molecule_output_specs(student), outputs[:2], atoms=3)


def test_energies_and_forces_have_units():
    units = {spec.name: spec.unit for spec in output_specs(small_student(2))}

    assert units == {"energy": "eV", "forces": "eV/Å", "virial": "eV"}
