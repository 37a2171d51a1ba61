"""A TorchScript file means what its student means, whoever calls it, how often and with what."""

import pytest
import torch
from ase.build import molecule
from torch_samples import manifest_of, opened, problems, sample_student

from mlffd.checkpoints import load_checkpoint
from mlffd.errors import InputError
from mlffd.export.graph import example_for, inputs_of, trace
from mlffd.export.specs import output_specs
from mlffd.runtimes.potential import collate_for
from mlffd.runtimes.torchscript import TorchScriptPotential
from mlffd.structures.structure import Structure

WATER = Structure.from_atoms(molecule("H2O"))


@pytest.mark.parametrize(
    ("format_name", "revision", "precision", "layers"),
    [
        ("torchscript", 1, "fp64", 2),
        ("torchscript", 2, "fp32", 2),
        ("torchscript-molecule", 1, "fp32", 1),
        ("torchscript-molecule", 2, "fp64", 1),
    ],
)
def test_it_is_the_student_at_any_size_again_and_in_two_threads(
    format_name, revision, precision, layers, tmp_path
):
    student = sample_student(revision, precision, layers=layers)
    potential = opened(student, format_name, precision, tmp_path)

    assert problems(potential, student, precision) == []
    forces = potential(collate_for(potential, [WATER])).forces
    assert forces.abs().max() > 0.05  # of which the tolerance is a small part


def test_a_trained_student_is_the_same_too(root, tmp_path):
    checkpoint = root / "golden" / "checkpoints" / "ultra_tiny.pt"
    student = load_checkpoint(checkpoint).float()

    assert problems(opened(student, "torchscript", "fp32", tmp_path), student, "fp32") == []


@pytest.fixture(scope="module")
def potential(tmp_path_factory):
    student = sample_student(2, layers=1)
    return opened(student, "torchscript", "fp64", tmp_path_factory.mktemp("torchscript"))


def test_the_callers_tensors_are_left_alone(potential):
    """And it gives no gradients, whether or not positions ask for them."""
    plain, asking = (collate_for(potential, [WATER]) for _ in range(2))
    asking.positions.requires_grad_()

    for _ in range(4):  # it is optimized in the second and third call
        predictions = [potential(batch) for batch in (plain, asking)]
        with torch.enable_grad():
            raw = potential._module(*inputs_of(asking))

    assert not plain.positions.requires_grad
    assert asking.positions.grad is None
    for prediction in predictions:
        assert not prediction.forces.requires_grad
        assert torch.equal(prediction.forces, raw[1])
    torch.testing.assert_close(raw[0], predictions[0].energy, rtol=0.0, atol=0.0)


@pytest.mark.filterwarnings("ignore:`torch.jit.* is deprecated")
def test_sizes_that_were_baked_are_seen(tmp_path):
    """What `torch.jit.trace` makes of the same graph is right for its example, and only there."""
    student = sample_student(2, layers=1)
    path = tmp_path / "baked.pt"
    example = inputs_of(example_for(student))
    torch.jit.save(torch.jit.trace(trace(student), example), path)
    manifest = manifest_of(student, "torchscript", "fp64", outputs=output_specs(student))

    baked = TorchScriptPotential(path, manifest)

    expected = student(example_for(student))
    torch.testing.assert_close(baked.run(example)[1], expected.forces, rtol=0.0, atol=1e-9)
    found = problems(baked, student, "fp64")
    assert any(problem.startswith("1 atom: ") for problem in found), found
    assert any(problem.startswith("187 atoms: ") for problem in found), found


def test_another_file_is_refused(tmp_path):
    manifest = manifest_of(student := sample_student(2), "torchscript", "fp64")
    manifest = manifest.model_copy(update={"outputs": output_specs(student)})
    (tmp_path / "other.pt").write_bytes(b"not a zip archive")

    for name in ("other.pt", "missing.pt"):
        with pytest.raises(InputError, match=rf"{name}: not a TorchScript file: \S"):
            TorchScriptPotential(tmp_path / name, manifest)
