import pytest
import torch
from ase.build import molecule

from mlffd.errors import InputError
from mlffd.runtimes.eager import EagerPotential, available_device
from mlffd.runtimes.loading import load_potential
from mlffd.runtimes.potential import collate_for, predict
from mlffd.structures.structure import Structure
from mlffd.students import build

WATER = Structure.from_atoms(molecule("H2O"))


def test_the_given_student_stays_as_it_is(student):
    student.train()
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}

    predict(EagerPotential(student, dtype=torch.float64), [WATER])

    assert student.training
    for name, tensor in student.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.dtype is before[name].dtype
    for parameter in student.parameters():
        assert parameter.requires_grad
        assert parameter.grad is None
        assert parameter.dtype is torch.float32


def test_a_later_change_of_the_student_does_not_show(student):
    potential = EagerPotential(student)
    (before,) = predict(potential, [WATER])

    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()

    assert predict(potential, [WATER])[0].energy == before.energy


def test_it_says_what_it_needs(student):
    potential = EagerPotential(student, dtype=torch.float64, device="cpu")

    assert (potential.dtype, potential.device.type) == (torch.float64, "cpu")
    assert (potential.cutoff, potential.honours_cells, potential.has_stress) == (5.0, True, True)
    old = EagerPotential(build("StudentForceField", {**student.config, "revision": 1}))
    assert (old.honours_cells, old.has_stress) == (False, False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_computes_in_the_dtype_it_is_given(student, dtype):
    potential = EagerPotential(student, dtype=dtype)

    prediction = potential(collate_for(potential, [WATER]))

    assert prediction.forces.dtype is dtype
    assert prediction.energy.dtype is torch.float64
    assert not prediction.forces.requires_grad


@pytest.mark.parametrize("device", ["gpu", "", "cuda:99", "meta", "cpu:x"])
def test_a_device_that_is_not_there_is_an_input_error(student, device):
    with pytest.raises(InputError, match=f"device '{device}' cannot be used here: .+"):
        EagerPotential(student, device=device)


def test_the_message_about_a_device_is_one_line():
    with pytest.raises(InputError) as caught:
        available_device("cuda:99")
    assert "\n" not in str(caught.value)


def test_a_device_that_is_there_is_taken():
    assert available_device("cpu") == torch.device("cpu")
    assert available_device(torch.device("cpu")) == torch.device("cpu")


def test_a_missing_checkpoint_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"none\.pt"):
        load_potential(tmp_path / "none.pt")


@pytest.mark.parametrize("number", [0, 21])
def test_an_element_without_weights_is_refused_by_name(student, number):
    structure = Structure([number, 1], [[0, 0, 0], [0, 0, 1.0]], name="odd one")

    with pytest.raises(InputError, match=rf"odd one: atomic numbers .*{number}.* 1 to 20"):
        predict(EagerPotential(student), [structure])
