"""What all potentials of files share: batches in, predictions out, whatever the runtime."""

import pytest
import torch
from ase.build import bulk, molecule
from torch_samples import manifest_of, sample_student

from mlffd.errors import InputError
from mlffd.export.graph import ForceField
from mlffd.export.neighbour_graph import molecule_inputs
from mlffd.export.specs import molecule_output_specs, output_specs
from mlffd.runtimes.artifact import ArtifactPotential
from mlffd.runtimes.potential import collate_for
from mlffd.structures.structure import Structure

STUDENT = sample_student(2)
MOLECULES = [Structure.from_atoms(molecule(name)) for name in ("H2O", "O", "CH3CH2OH")]
CRYSTAL = Structure.from_atoms(bulk("C", "diamond", a=3.6))


class Direct(ArtifactPotential):
    """The student itself in place of a file, called with plain tensors."""

    def __init__(self, *, molecule: bool, **options):
        specs = molecule_output_specs if molecule else output_specs
        name = "torchscript-molecule" if molecule else "torchscript"
        manifest = manifest_of(STUDENT, name, "fp64", outputs=specs(STUDENT))
        super().__init__(manifest.model_copy(update={"honours_cells": True}), **options)
        self.calls = 0
        self._molecule = molecule

    def run(self, inputs):
        self.calls += 1
        if self._molecule:
            return ForceField(STUDENT)(*molecule_inputs(*inputs, STUDENT.cutoff))[:2]
        return ForceField(STUDENT)(*inputs)


@pytest.mark.parametrize(("alone", "calls"), [(False, 1), (True, 3)])
def test_a_batch_is_one_call_but_of_files_that_take_one_molecule(alone, calls):
    potential = Direct(molecule=alone)
    batch = collate_for(potential, MOLECULES)

    found = potential(batch)

    expected = STUDENT(batch)
    assert potential.calls == calls
    torch.testing.assert_close(found.energy, expected.energy, rtol=0.0, atol=1e-10)
    torch.testing.assert_close(found.forces, expected.forces, rtol=0.0, atol=1e-10)


def test_stress_is_what_the_virial_says_and_of_molecules_there_is_none():
    potential = Direct(molecule=False)
    batch = collate_for(potential, [CRYSTAL, MOLECULES[0]])

    stress = potential(batch, stress=True).stress

    torch.testing.assert_close(
        stress, STUDENT(batch, stress=True).stress, rtol=0.0, atol=1e-10, equal_nan=True
    )
    assert stress[0].abs().max() > 1e-3
    assert stress[1].isnan().all()
    assert potential(batch).stress is None


def test_what_takes_one_molecule_knows_no_cells_whatever_its_manifest_says():
    potential = Direct(molecule=True)

    assert not potential.honours_cells
    assert not potential.has_stress
    with pytest.raises(ValueError, match="it has no stress"):
        potential(collate_for(potential, MOLECULES), stress=True)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="device 'meta'"):
        Direct(molecule=False, device="meta")
