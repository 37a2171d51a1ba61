"""For every physics check a fault that it, and nothing else, must catch.

Sizes are chosen near what the check can just see: a check that needs a catastrophe is no gate.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planting import (
    CHECKPOINT,
    all_evidence,
    healthy_student,
    nearest_neighbours,
    not_passing,
    with_batch,
    with_energy,
    with_prediction,
    without_edges,
)
from torch import Tensor

from mlffd.checkpoints import load_checkpoint, save_checkpoint
from mlffd.structures import probes
from mlffd.structures.batch import Batch, collate
from mlffd.structures.prediction import Prediction
from mlffd.structures.structure import Structure
from mlffd.students import interaction
from mlffd.verdicts import Verdict


def test_a_healthy_student_passes_everything() -> None:
    evidence = all_evidence(healthy_student())
    assert len(evidence) >= 14
    assert {e.message: e.verdict for e in evidence.values() if e.verdict is not Verdict.PASS} == {}


@pytest.mark.catches("forces_are_gradient")
def test_forces_off_by_a_hundredth_of_a_percent_are_not_the_gradient() -> None:
    def scaled(batch: Batch, prediction: Prediction) -> Prediction:
        return replace(prediction, forces=1.0001 * prediction.forces)

    faulty = with_prediction(healthy_student(), scaled)
    assert not_passing(faulty) == {"forces_are_gradient": Verdict.FAIL}


@pytest.mark.catches("rotation_equivariance")
def test_one_axis_treated_specially_breaks_rotation() -> None:
    def up_or_down(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        """1 µeV for atoms whose nearest neighbour lies above them."""
        atoms, edge = nearest_neighbours(numbers, vectors, edges)
        energies = torch.zeros(len(numbers), dtype=torch.float64)
        energies[atoms] = 1e-6 * (vectors[edge, 2].detach() > 0).double()
        return energies

    faulty = with_energy(healthy_student(), up_or_down)
    assert not_passing(faulty) == {"rotation_equivariance": Verdict.FAIL}


@pytest.mark.catches("translation_invariance")
def test_a_neighbour_grid_of_fixed_extent_breaks_translation() -> None:
    def only_within_the_grid(batch: Batch) -> Batch:
        """A cell list that was made for boxes of up to 500 Å loses what lies outside."""
        outside = (batch.positions.abs() > 500.0).any(dim=1)
        return without_edges(batch, outside[batch.edge_index[1]])

    faulty = with_batch(healthy_student(), only_within_the_grid)
    assert not_passing(faulty) == {"translation_invariance": Verdict.FAIL}


@pytest.mark.catches("permutation_invariance")
def test_energies_that_depend_on_indices_break_permutation() -> None:
    def later_neighbour(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        """1 µeV for atoms whose nearest neighbour comes later: half a list taken for a full one."""
        atoms, edge = nearest_neighbours(numbers, vectors, edges)
        energies = torch.zeros(len(numbers), dtype=torch.float64)
        energies[atoms] = 1e-6 * (edges[0, edge] > atoms).double()
        return energies

    faulty = with_energy(healthy_student(), later_neighbour)
    assert not_passing(faulty) == {"permutation_invariance": Verdict.FAIL}


@pytest.mark.catches("net_force_and_torque")
def test_a_tenth_of_a_microelectronvolt_per_angstrom_too_much_is_a_net_force() -> None:
    def pushed(batch: Batch, prediction: Prediction) -> Prediction:
        push = torch.zeros_like(prediction.forces)
        push[batch.edge_index[1]] = 1e-7  # atoms without neighbours feel nothing
        return replace(prediction, forces=prediction.forces + push)

    faulty = with_prediction(healthy_student(), pushed)
    assert not_passing(faulty) == {"net_force_and_torque": Verdict.FAIL}


@pytest.mark.catches("size_consistency")
def test_an_interaction_without_a_cutoff_breaks_size_consistency() -> None:
    def pair_energy(positions: Tensor, distance_cap: float = 60.0) -> Tensor:
        distances = torch.pdist(positions)
        return 1e-4 * (1.0 / (distances + 10.0) - 1.0 / (distance_cap + 10.0)).sum()

    def interacting(batch: Batch, prediction: Prediction) -> Prediction:
        """A weak repulsion between all atoms of a molecule, however far apart."""
        energy, forces = prediction.energy.clone(), prediction.forces.clone()
        for index, atoms in enumerate(_atoms_of_each(batch)):
            # Lone atoms and pairs are left alone: other checks ask about those.
            if batch.pbc[index].any() or len(atoms) < 5 or _is_visited(batch, atoms):
                continue
            positions = batch.positions[atoms].clone().requires_grad_()
            extra = pair_energy(positions)
            (gradient,) = torch.autograd.grad(extra, positions)
            energy[index] += extra.detach()
            forces[atoms] -= gradient
        return replace(prediction, energy=energy, forces=forces)

    faulty = with_prediction(healthy_student(), interacting)
    assert not_passing(faulty) == {"size_consistency": Verdict.FAIL}


@pytest.mark.catches("batch_invariance")
def test_a_structure_index_of_eight_bits_breaks_large_batches() -> None:
    def overflowing(batch: Batch, prediction: Prediction) -> Prediction:
        """Energies of structures beyond the 127th are added to the wrong ones."""
        wrapped = torch.arange(len(batch)).to(torch.int8).to(torch.int64) % len(batch)
        energy = torch.zeros_like(prediction.energy).index_add(0, wrapped, prediction.energy)
        return replace(prediction, energy=energy)

    faulty = with_prediction(healthy_student(), overflowing)
    assert not_passing(faulty) == {"batch_invariance": Verdict.FAIL}


@pytest.mark.catches("smooth_at_cutoff")
def test_a_step_of_five_microelectronvolts_at_the_cutoff_is_not_smooth() -> None:
    def shifted(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        """A pair energy that was not shifted to zero at the cutoff."""
        energies = torch.zeros(len(numbers), dtype=torch.float64)
        return energies.index_add(0, edges[1], torch.full((edges.shape[1],), 2.5e-6).double())

    faulty = with_energy(healthy_student(), shifted)
    assert not_passing(faulty) == {"smooth_at_cutoff": Verdict.FAIL}


@pytest.mark.catches("periodic_images")
def test_only_the_nearest_image_breaks_periodic_images() -> None:
    def minimum_image(batch: Batch) -> Batch:
        """Of several images of a neighbour, the nearest alone."""
        distances = batch.vectors().norm(dim=1)
        pair = batch.edge_index[0] * len(batch.numbers) + batch.edge_index[1]
        _, inverse = torch.unique(pair, return_inverse=True)
        nearest = torch.full((int(inverse.max()) + 1,), torch.inf, dtype=distances.dtype)
        nearest = nearest.scatter_reduce(0, inverse, distances, "amin")
        return without_edges(batch, distances > nearest[inverse])

    def guarded(batch: Batch) -> Batch:
        return minimum_image(batch) if batch.edge_index.shape[1] else batch

    faulty = with_batch(healthy_student(), guarded)
    assert not_passing(faulty) == {"periodic_images": Verdict.FAIL}


@pytest.mark.parametrize("factor", [-1.0, 1.001])
@pytest.mark.catches("stress_is_strain_derivative")
def test_a_stress_of_wrong_sign_or_size_is_not_the_strain_derivative(factor: float) -> None:
    def scaled(batch: Batch, prediction: Prediction) -> Prediction:
        if prediction.stress is None:
            return prediction
        return replace(prediction, stress=factor * prediction.stress)

    faulty = with_prediction(healthy_student(), scaled)
    assert not_passing(faulty) == {"stress_is_strain_derivative": Verdict.FAIL}


@pytest.mark.catches("zero_vector_safety")
def test_a_norm_with_too_small_an_epsilon_is_not_safe_at_zero_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interaction, "NORM_EPSILON", 1e-12)
    assert not_passing(healthy_student()) == {"zero_vector_safety": Verdict.FAIL}


@pytest.mark.catches("isolated_atoms")
def test_single_atoms_as_a_special_case_break_isolated_atoms() -> None:
    def special(batch: Batch, prediction: Prediction) -> Prediction:
        """Atoms alone in space get a tabulated energy that is a µeV off."""
        single = (batch.atom_counts == 1) & ~batch.pbc.any(dim=1)
        return replace(prediction, energy=prediction.energy + 1e-6 * single)

    faulty = with_prediction(healthy_student(), special)
    assert not_passing(faulty) == {"isolated_atoms": Verdict.FAIL}


@pytest.mark.catches("element_coverage")
def test_an_element_that_was_never_trained_is_not_covered() -> None:
    subject = healthy_student()
    subject.elements = probes.ELEMENTS | {35}
    assert not_passing(subject) == {"element_coverage": Verdict.FAIL}


@pytest.mark.catches("nve_conservation")
def test_steps_in_a_table_of_bond_energies_break_conservation() -> None:
    def tabulated(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        """A table without interpolation: 40 meV steps every 0.05 Å, flat between them."""
        distances = vectors.detach().norm(dim=1)
        steps = 0.02 * torch.round(20.0 * distances.double()) * (distances < 1.7)
        return torch.zeros(len(numbers), dtype=torch.float64).index_add(0, edges[1], steps)

    faulty = with_energy(healthy_student(), tabulated)
    assert not_passing(faulty) == {"nve_conservation": Verdict.FAIL}


@pytest.mark.catches("nve_conservation")
def test_a_hole_beyond_the_bonds_to_hydrogen_is_no_conservation_of_molecules() -> None:
    def hole(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        """2 eV for hydrogen 1.7 Å from another element: smooth, and energy and forces agree."""
        one_is_hydrogen = (numbers[edges] == 1).sum(dim=0) == 1
        depth = torch.exp(-(((vectors.norm(dim=1) - 1.7) / 0.2) ** 2)) * one_is_hydrogen
        return torch.zeros(len(numbers), dtype=torch.float64).index_add(0, edges[1], -depth)

    faulty = with_energy(healthy_student(), hole)
    found = {name: e for name, e in all_evidence(faulty).items() if e.verdict is not Verdict.PASS}
    assert {name: e.verdict for name, e in found.items()} == {"nve_conservation": Verdict.FAIL}
    assert "stretch" in {c.name for c in found["nve_conservation"].failing}


@pytest.mark.catches("rotation_equivariance")
def test_an_energy_that_knows_left_from_right_is_no_physics() -> None:
    def handed(numbers: Tensor, vectors: Tensor, edges: Tensor) -> Tensor:
        """1 µeV by the handedness of an atom's three nearest neighbours."""
        energies = torch.zeros(len(numbers), dtype=torch.float64)
        away = vectors.detach().norm(dim=1)
        for atom in edges[1].unique():
            own = torch.nonzero(edges[1] == atom).squeeze(1)
            three = vectors.detach()[own[away[own].argsort()[:3]]]
            if len(three) == 3:
                energies[atom] = 1e-6 * (torch.linalg.det(three) > 0).double()
        return energies

    faulty = with_energy(healthy_student(), handed)
    assert not_passing(faulty) == {"rotation_equivariance": Verdict.FAIL}


@pytest.mark.catches("forces_are_gradient")
def test_a_constant_energy_passes_for_no_potential() -> None:
    def constant(batch: Batch, prediction: Prediction) -> Prediction:
        stress = None if prediction.stress is None else 0 * prediction.stress
        return Prediction(batch.atom_counts.double(), 0 * prediction.forces, stress)

    faulty = with_prediction(healthy_student(), constant)
    # Without dynamics: nothing holds a molecule together.
    assert not_passing(faulty, dynamics=False) == {"forces_are_gradient": Verdict.FAIL}


@pytest.mark.catches("periodic_images")
def test_a_slab_that_repeats_across_is_not_the_slab() -> None:
    def repeated(batch: Batch) -> Batch:
        """Any periodic direction makes all three periodic, as some label programs do."""
        structures = [
            Structure(
                batch.numbers[atoms].numpy(),
                batch.positions[atoms].numpy(),
                cell=cell.numpy(),
                pbc=np.full(3, bool(pbc.any())),
            )
            for atoms, cell, pbc in zip(_atoms_of_each(batch), batch.cells, batch.pbc, strict=True)
        ]
        return collate(structures, 5.0)

    faulty = with_batch(healthy_student(), repeated)
    assert not_passing(faulty) == {"periodic_images": Verdict.FAIL}


@pytest.mark.catches("stress_is_strain_derivative")
def test_a_signed_volume_turns_the_stress_of_left_handed_cells_around() -> None:
    def signed(batch: Batch, prediction: Prediction) -> Prediction:
        if prediction.stress is None:
            return prediction
        sign = torch.linalg.det(batch.cells).sign()
        return replace(prediction, stress=prediction.stress * sign[:, None, None])

    faulty = with_prediction(healthy_student(), signed)
    assert not_passing(faulty) == {"stress_is_strain_derivative": Verdict.FAIL}


@pytest.mark.catches("batch_invariance")
def test_a_stress_that_is_lost_in_company_breaks_batches() -> None:
    def lost(batch: Batch, prediction: Prediction) -> Prediction:
        """Zeros for cells beside molecules: one flag for the whole batch."""
        if prediction.stress is None or bool(batch.pbc.all(dim=1).all()):
            return prediction
        return replace(prediction, stress=0 * prediction.stress)

    faulty = with_prediction(healthy_student(), lost)
    assert not_passing(faulty) == {"batch_invariance": Verdict.FAIL}


@pytest.mark.catches("size_consistency")
def test_large_structures_that_lose_their_neighbours_are_seen() -> None:
    def only_small(batch: Batch) -> Batch:
        large = batch.atom_counts[batch.structure_index[batch.edge_index[1]]] > 28
        return without_edges(batch, large)

    faulty = with_batch(healthy_student(), only_small)
    assert not_passing(faulty) == {"size_consistency": Verdict.FAIL}


@pytest.mark.catches("element_coverage")
def test_a_claim_of_an_element_whose_weights_are_still_initial(tmp_path: Path) -> None:
    student = load_checkpoint(CHECKPOINT)
    path = tmp_path / "claims.pt"
    save_checkpoint(path, student, elements=[*probes.ELEMENTS, 35], training={})
    subject = healthy_student(path)
    subject.elements = probes.ELEMENTS | {35}
    assert not_passing(subject) == {"element_coverage": Verdict.FAIL}


def test_nan_forces_fail_and_do_not_slip_through_a_maximum() -> None:
    def poisoned(batch: Batch, prediction: Prediction) -> Prediction:
        forces = prediction.forces.clone()
        forces[-1] = np.nan
        return replace(prediction, forces=forces)

    found = all_evidence(with_prediction(healthy_student(), poisoned))
    passed = {name for name, e in found.items() if e.verdict is Verdict.PASS}
    # What looks at energies, weights or stresses only has no forces to judge.
    assert passed == {"loads", "finite_weights", "parameter_count", "stress_is_strain_derivative"}


def _atoms_of_each(batch: Batch) -> list[Tensor]:
    return list(torch.arange(len(batch.numbers)).split(batch.atom_counts.tolist()))


def _is_visited(batch: Batch, atoms: Tensor) -> bool:
    """Whether the last atom is alone at the cutoff: a probe of `smooth_at_cutoff`."""
    last, others = batch.positions[atoms[-1]], batch.positions[atoms[:-1]]
    return bool((others - last).norm(dim=1).min() > 4.9)
