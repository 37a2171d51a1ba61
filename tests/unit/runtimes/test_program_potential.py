"""A program file means what its student means, at any size."""

import pytest
from ase.build import molecule
from torch_samples import manifest_of, opened, problems, sample_student

from mlffd.errors import InputError
from mlffd.export.specs import output_specs
from mlffd.runtimes.potential import collate_for
from mlffd.runtimes.program import ProgramPotential
from mlffd.structures.structure import Structure


@pytest.mark.parametrize(("revision", "precision"), [(1, "fp64"), (2, "fp32")])
def test_it_is_the_student_at_any_size_again_and_in_two_threads(revision, precision, tmp_path):
    student = sample_student(revision, precision, layers=1)
    potential = opened(student, "torch-export", precision, tmp_path)

    assert problems(potential, student, precision) == []
    batch = collate_for(potential, [Structure.from_atoms(molecule("H2O"))])
    forces = potential(batch).forces
    assert forces.abs().max() > 0.05  # of which the tolerance is a small part
    assert not forces.requires_grad


def test_another_file_is_refused(tmp_path):
    student = sample_student(1, layers=1)
    outputs = output_specs(student)
    (tmp_path / "other.pt2").write_bytes(b"not a zip archive")

    for name in ("other.pt2", "missing.pt2"):
        with pytest.raises(InputError, match=rf"{name}: not a program of torch.export: \S"):
            ProgramPotential(
                tmp_path / name, manifest_of(student, "torch-export", "fp64", outputs=outputs)
            )
