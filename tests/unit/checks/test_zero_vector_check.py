"""Forces that jump at a symmetric point by a known amount: just under the limit, and over."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from springs import Changed, PairPotential, failing, measured, soft, subject_of

from mlffd.checkpoints import load_checkpoint
from mlffd.checks import zero_vectors
from mlffd.checks.zero_vectors import check_zero_vector_safety
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures import probes
from mlffd.verdicts import Verdict

SOUND = PairPotential(soft)


def carbon_dioxide(batch):
    """Its atoms ``[N]``, and on which side of the symmetric point each of them is: 0 at it."""
    concerned = torch.zeros(len(batch.numbers), dtype=torch.float64)
    sides = torch.zeros(len(batch.numbers), dtype=torch.float64)
    (whole,) = (s for s in probes.symmetric(frozenset({6, 8})) if s.name == "CO2")
    for index in range(len(batch)):
        atoms = batch.structure_index == index
        if batch.numbers[atoms].tolist() == whole.numbers.tolist():
            concerned[atoms] = 1.0
            moved = batch.positions[atoms] - torch.as_tensor(whole.positions)
            sides[atoms] = moved[:, 0].sign()
    return concerned, sides


def with_forces(change):
    """Forces on carbon dioxide that are changed by a function of the side, along y and z."""

    def corrected(batch, prediction):
        concerned, sides = carbon_dioxide(batch)
        forces = prediction.forces.clone()
        forces[:, 1] += 0.6 * concerned * change(sides)
        forces[:, 2] += 0.8 * concerned * change(sides)
        return replace(prediction, forces=forces)

    return Changed(SOUND, corrected)


def evidence_of(potential, elements=(6, 8)):
    return check_zero_vector_safety(subject_of(potential, elements=elements))


def test_smooth_forces_do_not_jump():
    evidence = evidence_of(SOUND)
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence) == {"force_jump": pytest.approx(0.0, abs=1e-6)}
    names = {s.name for s in probes.symmetric(frozenset({6, 8}))}
    assert set(evidence.details["force_jumps"]) == names


@pytest.mark.parametrize(("size", "found"), [(0.95e-3, set()), (1.05e-3, {"force_jump"})])
@pytest.mark.parametrize(
    "change",
    [lambda sides: 0.5 * sides, lambda sides: 1.0 * (sides == 0), lambda sides: sides.abs()],
    ids=["across", "at the point", "beside the point"],
)
def test_forces_may_jump_by_a_thousandth(size, found, change):
    """From one side to the other, or at the symmetric point itself."""
    evidence = evidence_of(with_forces(lambda sides: size * change(sides)))
    assert failing(evidence) == found
    assert measured(evidence)["force_jump"] == pytest.approx(size, rel=1e-3)
    assert evidence.message.endswith("(CO2)")


def test_a_jump_of_the_force_on_one_atom_alone_is_seen():
    def change(batch, prediction):
        _, sides = carbon_dioxide(batch)
        sides[:-1] = 0.0
        forces = prediction.forces.clone()
        forces[:, 1] += 0.5 * sides
        return replace(prediction, forces=forces)

    evidence = evidence_of(Changed(SOUND, change))
    assert measured(evidence)["force_jump"] == pytest.approx(1.0, rel=1e-3)


def test_the_step_is_so_small_that_a_root_with_an_epsilon_is_smooth():
    """The steepest that one may be, 1e6 eV/Å per Å, moves forces by less than the limit."""
    steps = []

    def change(batch, prediction):
        sides = carbon_dioxide(batch)[1]
        if sides.abs().sum():
            (whole,) = (s for s in probes.symmetric(frozenset({6, 8})) if s.name == "CO2")
            moved = batch.positions - torch.as_tensor(whole.positions).repeat(len(batch), 1)
            steps.append((len(batch), float(moved.abs().max())))
        return prediction

    evidence_of(Changed(SOUND, change))
    structures, sizes = zip(*steps, strict=True)
    assert structures == (32, 32)
    assert 1e-11 < max(sizes) < 1e-9


def test_one_atom_of_one_molecule_that_is_no_number_fails():
    def change(batch, prediction):
        forces = prediction.forces.clone()
        forces[-1] = torch.nan
        return replace(prediction, forces=forces)

    evidence = evidence_of(Changed(SOUND, change))
    assert failing(evidence) == {"force_jump"}


@pytest.fixture
def eager(checkpoint):
    return EagerPotential(load_checkpoint(checkpoint))


def test_a_student_can_be_trained_on_symmetric_molecules(eager):
    evidence = evidence_of(eager)
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence)["gradients_not_finite"] == 0
    assert set(evidence.details["gradients_not_finite"]) == set(evidence.details["force_jumps"])
    assert evidence.details["gradients_not_finite"]["C"] == 0  # alone: nothing to train on
    assert not any(p.requires_grad for p in eager.student.parameters())


def test_a_root_without_epsilon_makes_gradients_that_are_no_numbers(eager, monkeypatch):
    """Of the length of the sum of bond vectors, which is zero at the centre of carbon dioxide."""
    original = eager.student.atomic_energies
    scale = torch.nn.Parameter(torch.tensor(1e-6, dtype=torch.float64))
    eager.student.register_parameter("scale", scale)

    def with_norm(numbers, vectors, edges):
        sums = torch.zeros(len(numbers), 3, dtype=vectors.dtype).index_add(0, edges[1], vectors)
        lengths = (sums**2).sum(dim=1).sqrt()
        return original(numbers, vectors, edges) + eager.student.scale * lengths

    monkeypatch.setattr(eager.student, "atomic_energies", with_norm)
    evidence = evidence_of(eager)
    assert "gradients_not_finite" in failing(evidence)
    assert evidence.details["gradients_not_finite"]["CO2"] > 0
    assert measured(evidence)["gradients_not_finite"] == sum(
        evidence.details["gradients_not_finite"].values()
    )


def test_only_what_pytorch_runs_has_such_gradients():
    assert "gradients_not_finite" not in measured(evidence_of(SOUND))


def test_one_gradient_that_is_no_number_fails(eager, monkeypatch):
    counts = iter([0, 0, 1] + [0] * 20)
    monkeypatch.setattr(zero_vectors, "_bad_gradients", lambda *_: next(counts))
    evidence = evidence_of(eager)
    assert failing(evidence) == {"gradients_not_finite"}
    assert np.sum(list(evidence.details["gradients_not_finite"].values())) == 1
