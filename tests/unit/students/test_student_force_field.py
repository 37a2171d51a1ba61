import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from ase.build import molecule
from scipy.spatial.transform import Rotation

from mlffd.errors import InputError
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import predict
from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure
from mlffd.students import build
from mlffd.students.student_force_field import StudentForceFieldConfig

SIZES = {
    "original": ((128, 3, 20), 427_292),
    "tiny": ((64, 2, 12), 77_203),
    "ultra_tiny": ((32, 2, 10), 21_459),
}
SMALL = {"hidden_dim": 16, "num_interactions": 2, "num_rbf": 6}

CO2 = Structure([8, 6, 8], np.array([[0, 0, -1.16], [0, 0, 0], [0, 0, 1.16]]), name="CO2")
CH4 = Structure.from_atoms(molecule("CH4"), name="CH4")
LONE_ATOM = Structure([6], np.zeros((1, 3)), name="C")
ETHANOL = Structure.from_atoms(molecule("CH3CH2OH"), name="ethanol")


def crystal(seed=0):
    generator = np.random.default_rng(seed)
    cell = 4.5 * np.eye(3) + generator.normal(0, 0.4, (3, 3))
    positions = np.array([[0, 0, 0], [0.9, 0.1, 0], [2.2, 2.0, 2.1]]) + generator.normal(
        0, 0.1, (3, 3)
    )
    return Structure([8, 1, 6], positions, cell=cell, pbc=[True] * 3, name="crystal")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("revision", [1, 2])
def test_the_three_sizes_have_their_parameters(size, revision):
    (hidden, interactions, rbf), expected = SIZES[size]
    student = build(
        "StudentForceField",
        {
            "hidden_dim": hidden,
            "num_interactions": interactions,
            "num_rbf": rbf,
            "revision": revision,
        },
    )

    assert student.parameter_count == expected


def test_both_revisions_have_the_same_parameters_by_name_and_shape(make_student):
    shapes = [
        {name: tuple(p.shape) for name, p in make_student(revision=r).named_parameters()}
        for r in (1, 2)
    ]
    buffers = [{name for name, _ in make_student(revision=r).named_buffers()} for r in (1, 2)]

    assert shapes[0] == shapes[1]
    assert buffers[1] - buffers[0] == {"reference_energies"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("structure", [CO2, CH4, LONE_ATOM], ids=lambda s: s.name)
def test_a_force_loss_can_be_differentiated_where_vectors_vanish(make_student, structure, dtype):
    student = make_student().to(dtype)
    batch = collate([structure], student.cutoff, dtype=dtype)

    prediction = student(batch, create_graph=True)
    loss = prediction.energy.sum() + (prediction.forces**2).sum()
    gradients = torch.autograd.grad(loss, list(student.parameters()), allow_unused=True)

    assert torch.isfinite(prediction.forces).all()
    present = [g for g in gradients if g is not None]
    assert present
    for gradient in present:
        assert torch.isfinite(gradient).all()
    if len(structure) > 1:  # the forces themselves are in the graph
        (through_forces,) = torch.autograd.grad(
            (student(batch, create_graph=True).forces ** 2).sum(),
            student.get_parameter("energy_head.0.weight"),
        )
        assert through_forces.abs().max() > 0


def test_revision_1_has_no_such_gradient(make_student):
    """The defect that the test above would miss if it could not fail."""
    student = make_student(revision=1).double()
    batch = collate([CH4], student.cutoff)

    loss = (student(batch, create_graph=True).forces ** 2).sum()
    gradients = torch.autograd.grad(loss, list(student.parameters()), allow_unused=True)

    assert not all(torch.isfinite(g).all() for g in gradients if g is not None)


@pytest.mark.parametrize("structure", [ETHANOL, CH4, crystal()], ids=lambda s: s.name)
def test_forces_and_stress_turn_with_the_structure(make_student, structure):
    potential = EagerPotential(make_student())
    has_stress = structure.is_periodic
    (before,) = predict(potential, [structure], stress=has_stress)
    for matrix in Rotation.random(5, rng=np.random.default_rng(1)).as_matrix():
        turned = Structure(
            structure.numbers,
            structure.positions @ matrix.T,
            cell=None if structure.cell is None else structure.cell @ matrix.T,
            pbc=structure.pbc,
        )
        (after,) = predict(potential, [turned], stress=has_stress)

        assert after.energy == pytest.approx(before.energy, abs=1e-10)
        np.testing.assert_allclose(after.forces @ matrix, before.forces, atol=1e-10, rtol=0)
        if has_stress:
            stress = matrix.T @ after.stress @ matrix
            np.testing.assert_allclose(stress, before.stress, atol=1e-10, rtol=0)


def test_revision_1_does_not_turn(make_student):
    potential = EagerPotential(make_student(revision=1))
    (matrix,) = Rotation.random(1, rng=np.random.default_rng(1)).as_matrix()
    turned = ETHANOL.with_positions(ETHANOL.positions @ matrix.T)

    before, after = predict(potential, [ETHANOL, turned])

    assert abs(after.energy - before.energy) > 1e-6


@pytest.mark.parametrize("revision", [1, 2])
@pytest.mark.parametrize("structure", [ETHANOL, crystal()], ids=lambda s: s.name)
def test_forces_are_minus_the_gradient(make_student, structure, revision):
    potential = EagerPotential(make_student(revision=revision))
    (prediction,) = predict(potential, [structure])
    step = 1e-4
    numerical = np.zeros_like(structure.positions)
    for index in np.ndindex(numerical.shape):
        positions = np.stack([structure.positions] * 2)
        positions[0][index] -= step
        positions[1][index] += step
        low, high = predict(potential, [structure.with_positions(p) for p in positions])
        numerical[index] = -(high.energy - low.energy) / (2 * step)

    np.testing.assert_allclose(prediction.forces, numerical, atol=1e-6, rtol=0)


def test_stress_is_the_strain_derivative_over_the_volume(make_student):
    potential = EagerPotential(make_student())
    structure = crystal()
    (prediction,) = predict(potential, [structure], stress=True)
    step = 1e-5
    numerical = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        energies = []
        for sign in (-1, 1):
            deformation = np.eye(3)
            deformation[i, j] += sign * step
            strained = Structure(
                structure.numbers,
                structure.positions @ deformation,
                cell=structure.cell @ deformation,
                pbc=structure.pbc,
            )
            energies.append(predict(potential, [strained])[0].energy)
        numerical[i, j] = (energies[1] - energies[0]) / (2 * step)
    numerical /= abs(np.linalg.det(structure.cell))

    np.testing.assert_allclose(prediction.stress, numerical, atol=1e-7, rtol=0)
    np.testing.assert_allclose(prediction.stress, prediction.stress.T, atol=1e-12, rtol=0)


def test_stress_is_nan_where_there_is_no_volume(make_student):
    student = make_student().double()
    slab = Structure([1, 6], crystal().positions[:2], cell=crystal().cell, pbc=[True, True, False])

    prediction = student(collate([crystal(), ETHANOL, slab], student.cutoff), stress=True)

    assert torch.isfinite(prediction.stress[0]).all()
    assert prediction.stress[1:].isnan().all()


def test_revision_1_has_no_stress(make_student):
    student = make_student(revision=1).double()
    batch = collate([ETHANOL], student.cutoff)

    with pytest.raises(ValueError, match="revision 1 ignores cells"):
        student(batch, stress=True)
    assert student(batch).stress is None


def test_float32_agrees_with_float64(make_student):
    """Including energies of 10^3 eV per atom, which float32 alone would know to 1e-4 eV only."""
    student = make_student()
    structures = [ETHANOL, crystal(), LONE_ATOM]
    single = predict(EagerPotential(student, dtype=torch.float32), structures)
    double = predict(EagerPotential(student, dtype=torch.float64), structures)

    for a, b in zip(single, double, strict=True):
        assert a.energy == pytest.approx(b.energy, abs=2e-5)
        np.testing.assert_allclose(a.forces, b.forces, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "convert",
    [
        lambda s: s.float(),
        lambda s: s.half(),
        lambda s: s.bfloat16(),
        lambda s: s.to(torch.float32),
        lambda s: s.to("cpu", torch.float32),
        lambda s: s.double().float(),
        lambda s: copy.deepcopy(s).float(),
    ],
)
def test_no_conversion_rounds_the_reference_energies(make_student, convert):
    student = make_student()
    expected = student.get_buffer("reference_energies").clone()
    assert (expected != expected.float().double()).any()  # float32 could not hold them

    converted = convert(student)

    found = converted.get_buffer("reference_energies")
    assert found.dtype is torch.float64
    assert torch.equal(found, expected)
    assert converted.get_parameter("embedding.weight").dtype is not torch.float64


def test_reference_energies_follow_to_another_device(make_student):
    assert make_student().to("meta").get_buffer("reference_energies").device.type == "meta"


def test_energies_are_float64_whatever_the_network_is_in(make_student):
    student = make_student().float()
    prediction = student(collate([CH4], student.cutoff, dtype=torch.float32))

    assert prediction.energy.dtype is torch.float64
    assert prediction.forces.dtype is torch.float32


@pytest.mark.parametrize("revision", [1, 2])
def test_a_neighbour_without_scalar_features_sends_nothing(make_student, revision):
    """In revision 2. The first revision forgot to multiply the directional message by them."""
    student = make_student(revision=revision, num_interactions=1).double()
    with torch.no_grad():
        student.get_parameter("embedding.weight")[8] = 0.0

    def energy_of_carbon(structure):
        batch = collate([structure], student.cutoff)
        return student.atomic_energies(batch.numbers, batch.vectors(), batch.edge_index)[0].item()

    difference = abs(energy_of_carbon(pair(1.2)) - energy_of_carbon(LONE_ATOM))

    assert difference < 1e-12 if revision == 2 else difference > 1e-6


def pair(distance):
    return Structure([6, 8], np.array([[0.0, 0, 0], [0.36, 0.48, 0.8]]) * [[1], [distance]])


def test_energy_and_forces_vanish_smoothly_at_the_cutoff(make_student):
    potential = EagerPotential(make_student())
    apart, outside, *near = predict(
        potential, [pair(d) for d in (5.5, 5.0001, 4.9, 4.99, 4.999, 4.9999)]
    )

    assert np.abs(apart.forces).max() == 0.0
    binding = [abs(p.energy - apart.energy) for p in near]
    forces = [np.abs(p.forces).max() for p in near]
    assert binding[0] > 1e-6  # there is something to vanish
    # The envelope falls like (cutoff - d)^2: ten times nearer, a hundred times less.
    for previous, following in pairwise(binding):
        assert following == pytest.approx(previous / 100, rel=0.1)
    for previous, following in pairwise(forces):
        assert following == pytest.approx(previous / 10, rel=0.1)
    assert outside.energy == pytest.approx(apart.energy, abs=1e-12)


def test_revision_1_jumps_at_the_cutoff(make_student):
    potential = EagerPotential(make_student(revision=1))

    inside, outside = predict(potential, [pair(4.999999), pair(5.000001)])

    assert abs(inside.energy - outside.energy) > 1e-6


@pytest.mark.parametrize("revision", [1, 2])
def test_atoms_without_neighbours_have_energy_and_no_force(make_student, revision):
    student = make_student(revision=revision).double()
    far = Structure([6, 1], np.array([[0.0, 0, 0], [50, 0, 0]]))
    batch = collate([LONE_ATOM, far], student.cutoff)
    assert batch.edge_index.shape == (2, 0)

    prediction = student(batch, stress=revision > 1)

    assert torch.isfinite(prediction.energy).all()
    assert torch.equal(prediction.forces, torch.zeros(3, 3, dtype=torch.float64))
    if revision > 1:
        assert prediction.stress.isnan().all()


def test_predictions_carry_a_graph_only_if_asked(make_student):
    student = make_student().double()
    batch = collate([CH4], student.cutoff)

    assert not student(batch).energy.requires_grad
    assert not student(batch).forces.requires_grad
    with torch.no_grad():  # forces are a gradient: they need one even here
        assert student(batch).forces.abs().max() > 0
    assert student(batch, create_graph=True).forces.requires_grad
    assert not batch.positions.requires_grad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_dim": 0}, "hidden_dim is 0, expected a positive int"),
        ({"hidden_dim": 30}, "hidden_dim is 30, expected a multiple of 4"),
        ({"hidden_dim": 16.0}, "hidden_dim is 16.0, expected a positive int"),
        ({"hidden_dim": "16"}, "hidden_dim is '16'"),
        ({"hidden_dim": True}, "hidden_dim is True"),
        ({"hidden_dim": None}, "hidden_dim is None"),
        ({"num_interactions": -1}, "num_interactions is -1"),
        ({"num_rbf": 1}, "num_rbf is 1, expected 2 or more"),
        ({"cutoff": float("nan")}, "cutoff is nan, expected a positive float"),
        ({"cutoff": float("inf")}, "cutoff is inf, expected a positive float"),
        ({"cutoff": -5.0}, "cutoff is -5.0"),
        ({"cutoff": [5.0]}, r"cutoff is \[5.0\]"),
        ({"max_z": 0}, "max_z is 0"),
        ({"revision": 3}, "revision is 3, expected 1 or 2"),
        ({"revision": True}, "revision is True"),
        ({"dropout": 0.1}, r"unknown keys \['dropout'\]; known: cutoff, hidden_dim"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_by_key(change, message):
    with pytest.raises(InputError, match=f"config: {message}"):
        build("StudentForceField", {**SMALL, **change})


@pytest.mark.parametrize("key", SMALL)
def test_a_config_that_lacks_a_key_is_refused(key):
    with pytest.raises(InputError, match=rf"config: missing keys \['{key}'\]"):
        build("StudentForceField", {k: v for k, v in SMALL.items() if k != key})


def test_the_config_builds_the_same_student_again(make_student):
    student = make_student(cutoff=4, max_z=30, revision=1)
    again = build(student.architecture, student.config)

    assert again.config == student.config
    assert again.state_dict().keys() == student.state_dict().keys()
    again.load_state_dict(student.state_dict())


@pytest.mark.parametrize("revision", [1, 2])
def test_the_config_is_found_in_the_weights(make_student, revision):
    student = make_student(revision=revision, cutoff=4.0)

    assert type(student).infer_config(student.state_dict()) == student.config


def test_the_default_config_is_revision_2_with_5_angstrom():
    config = StudentForceFieldConfig(**SMALL)

    assert (config.revision, config.cutoff, config.max_z) == (2, 5.0, 100)
