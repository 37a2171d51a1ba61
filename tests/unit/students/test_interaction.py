"""A layer of revision 2: what it computes, which of its weights matter, where it is smooth."""

import numpy as np
import pytest
import torch
from ase.build import molecule
from scipy.spatial.transform import Rotation

import mlffd.students.interaction
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import predict
from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure
from mlffd.students.interaction import NORM_EPSILON, Edges, Interaction

HIDDEN, RBF = 8, 5
ETHANOL = Structure.from_atoms(molecule("CH3CH2OH"))


@pytest.fixture
def layer() -> Interaction:
    torch.manual_seed(3)
    made = Interaction(HIDDEN, RBF, revision=2).double()
    with torch.no_grad():
        made.get_parameter("update.mixing_matrix").add_(0.3 * torch.randn(3, 3))
    return made


def features(atoms=4):
    generator = torch.Generator().manual_seed(5)
    scalars = torch.randn(atoms, HIDDEN, dtype=torch.float64, generator=generator)
    return scalars, torch.randn(atoms, 3, HIDDEN, dtype=torch.float64, generator=generator)


def edges_among(atoms=4):
    generator = torch.Generator().manual_seed(6)
    ends = torch.tensor([[i, j] for i in range(atoms) for j in range(atoms) if i != j]).T
    count = ends.shape[1]
    directions, basis, envelope = (
        torch.rand(shape, dtype=torch.float64, generator=generator)
        for shape in ((count, 3), (count, RBF), (count,))
    )
    return Edges(ends, directions, basis, envelope, mirrored=False)


def test_the_update_is_what_its_description_says(layer):
    """Written out channel by channel, atom by atom."""
    scalars, vectors = (x.numpy() for x in features())
    names = ("0.weight", "0.bias", "2.weight", "2.bias")
    first, offset, last, bias = (
        layer.get_parameter(f"update.update_mlp.{name}").detach().numpy() for name in names
    )
    matrix = layer.get_parameter("update.mixing_matrix").detach().numpy()
    found = layer.update(*features())

    for atom in range(len(scalars)):
        mixed = vectors[atom] @ last[2 * HIDDEN :].T * np.trace(matrix) / 3
        lengths = np.sqrt((mixed**2).sum(axis=0) + NORM_EPSILON)
        inner = first @ np.concatenate([scalars[atom], lengths]) + offset
        inner = inner / (1 + np.exp(-inner))
        delta = last[:HIDDEN] @ inner + bias[:HIDDEN]
        keep = last[HIDDEN : 2 * HIDDEN] @ inner + bias[HIDDEN : 2 * HIDDEN]
        products = bias[2 * HIDDEN :] * (vectors[atom] * mixed).sum(axis=0)
        np.testing.assert_allclose(
            found[0][atom].detach(), scalars[atom] + delta + products, atol=1e-12
        )
        np.testing.assert_allclose(
            found[1][atom].detach(), vectors[atom] * keep + mixed, atol=1e-12
        )


def test_scalars_stay_and_vectors_turn_with_the_neighbours(layer):
    scalars, vectors = features()
    edges = edges_among()
    turn = torch.from_numpy(Rotation.random(rng=np.random.default_rng(1)).as_matrix())

    def turned(x):
        return torch.einsum("xy,nyh->nxh", turn, x)

    before = layer(scalars, vectors, edges)
    after = layer(scalars, turned(vectors), edges._replace(directions=edges.directions @ turn.T))

    torch.testing.assert_close(after[0], before[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(after[1], turned(before[1]), atol=1e-12, rtol=0)


def test_vectors_that_are_not_there_are_zero(layer):
    scalars, vectors = features()
    edges = edges_among()

    for absent, zero in zip(
        layer(scalars, None, edges), layer(scalars, torch.zeros_like(vectors), edges), strict=True
    ):
        assert torch.equal(absent, zero)


#: Weights that the energy does not depend on, as parts of a parameter's first dimension: in the
#: first layer there are no vectors to filter, after the last one nobody asks for them any more.
IDLE = {
    "interactions.0.message.rbf_to_scalar.2.weight": slice(16, 32),
    "interactions.0.message.rbf_to_scalar.2.bias": slice(16, 32),
    "interactions.1.update.update_mlp.2.weight": slice(16, 32),
    "interactions.1.update.update_mlp.2.bias": slice(16, 32),
}


def idle_entries(name, parameter):
    """Which entries have no effect, bool of the parameter's shape."""
    idle = torch.zeros_like(parameter, dtype=torch.bool)
    if name in IDLE:
        idle[IDLE[name]] = True
    if name.endswith("mixing_matrix"):  # only its trace counts
        idle[~torch.eye(3, dtype=torch.bool)] = True
    if name == "embedding.weight":
        idle[[z for z in range(len(idle)) if z not in ETHANOL.numbers]] = True
    return idle


def test_every_weight_has_a_gradient_but_those_that_cannot_matter(make_student):
    student = make_student().double()
    found = student(collate([ETHANOL], student.cutoff), create_graph=True)

    loss = (found.forces**2).sum() + found.energy.sum()
    gradients = torch.autograd.grad(loss, list(student.parameters()))

    for (name, parameter), gradient in zip(student.named_parameters(), gradients, strict=True):
        assert torch.equal(gradient == 0, idle_entries(name, parameter)), name


def test_idle_weights_may_be_anything_and_no_others(make_student):
    student = make_student().double()
    batch = collate([ETHANOL], student.cutoff)
    before = student(batch)
    for name, parameter in student.named_parameters():
        idle = idle_entries(name, parameter)
        original = parameter.detach().clone()
        with torch.no_grad():
            parameter.add_(0.37 * idle)
            if name.endswith("mixing_matrix"):  # the trace is what it was, all else is not
                parameter.diagonal().copy_(original.diagonal().roll(1))
        after = student(batch)
        torch.testing.assert_close(after.energy, before.energy, atol=1e-12, rtol=0)
        torch.testing.assert_close(after.forces, before.forces, atol=1e-12, rtol=0)
        with torch.no_grad():
            parameter.copy_(original + 0.37 * ~idle)
        assert not torch.allclose(student(batch).energy, before.energy, atol=1e-9, rtol=0), name
        with torch.no_grad():
            parameter.copy_(original)


def stiffness_of_bending(student, step):
    """Second derivative of the energy of CO2, eV/Å², from forces at small bends of the atom C."""
    bent = Structure([8, 6, 8], [[0, 0, -1.16], [step, 0, 0], [0, 0, 1.16]])
    (found,) = predict(EagerPotential(student), [bent])
    return -found.forces[1, 0] / step


def test_a_linear_molecule_bends_smoothly(make_student):
    student = make_student()
    small, large = (stiffness_of_bending(student, step) for step in (1e-4, 2e-2))

    assert abs(large - small) < 0.03 * abs(small)


def test_a_kink_at_linear_molecules_would_be_noticed(make_student, monkeypatch):
    monkeypatch.setattr(mlffd.students.interaction, "NORM_EPSILON", 1e-6)
    student = make_student()
    small, large = (stiffness_of_bending(student, step) for step in (1e-4, 2e-2))

    assert abs(large - small) > 0.1 * abs(small)


@pytest.mark.parametrize("bend", [0.0, 1e-3])
def test_second_derivatives_of_a_linear_molecule_are_those_of_differences(make_student, bend):
    """What training on forces needs, where vectors vanish and next to it."""
    student = make_student().double()
    structure = Structure([8, 6, 8], [[0, 0, -1.16], [bend, 0, 0], [0, 0, 1.16]])
    batch = collate([structure], student.cutoff, half_list=True)
    weight = student.get_parameter("interactions.0.update.update_mlp.2.weight")
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)).double()

    def loss():
        return (student(batch, create_graph=True).forces ** 2).sum()

    (gradient,) = torch.autograd.grad(loss(), weight)
    step, values = 1e-5, []
    for sign in (1, -1, -1):  # ahead, back to the start, behind
        with torch.no_grad():
            weight += sign * step * direction
        values.append(loss().item())

    expected = (values[0] - values[2]) / (2 * step)
    assert abs(expected) > 1e-6
    assert (gradient * direction).sum().item() == pytest.approx(expected, rel=1e-6)
