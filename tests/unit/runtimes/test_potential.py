import numpy as np
import pytest
import torch
from ase.build import molecule

from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import collate_for, predict, split
from mlffd.structures.prediction import Prediction
from mlffd.structures.structure import Structure

NAMES = ("CH3CH2OH", "H2O", "CH4", "N2", "C6H6", "H2", "CO2", "HCN")
MOLECULES = [Structure.from_atoms(molecule(name), name=name) for name in NAMES]
CRYSTAL = Structure(
    [6, 8],
    [[0.1, 0, 0], [1.3, 0, 0.2]],
    cell=[[4, 0, 0], [1, 4.2, 0], [0, 0.5, 3.9]],
    pbc=[True] * 3,
)


@pytest.fixture
def potential(student):
    return EagerPotential(student)


class Recorder:
    """A potential that remembers how large its batches were."""

    def __init__(self, potential):
        self.potential, self.sizes = potential, []

    def __getattr__(self, name):
        return getattr(self.potential, name)

    def __call__(self, batch, *, stress=False):
        self.sizes.append((len(batch), len(batch.numbers)))
        return self.potential(batch, stress=stress)


@pytest.mark.parametrize(
    "limits", [{"max_atoms": 1}, {"max_atoms": 9}, {"max_structures": 3}, {"max_structures": 1}]
)
def test_chunks_predict_what_one_batch_does_in_the_same_order(potential, limits):
    at_once = predict(potential, MOLECULES, max_atoms=10**6, max_structures=10**6)
    in_pieces = predict(potential, MOLECULES, **limits)

    assert len(in_pieces) == len(MOLECULES)
    for structure, expected, found in zip(MOLECULES, at_once, in_pieces, strict=True):
        assert found.energy == pytest.approx(expected.energy, abs=1e-10)
        assert found.forces.shape == structure.positions.shape
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-11, rtol=0)


def test_batches_stay_within_both_bounds(potential):
    recorder = Recorder(potential)

    predict(recorder, MOLECULES, max_atoms=12, max_structures=2)

    assert sum(structures for structures, _ in recorder.sizes) == len(MOLECULES)
    assert all(structures <= 2 and atoms <= 12 for structures, atoms in recorder.sizes)


def test_a_structure_larger_than_the_bound_goes_alone(potential):
    recorder = Recorder(potential)

    predict(recorder, [*MOLECULES[1:3], MOLECULES[0], MOLECULES[3]], max_atoms=8)

    assert recorder.sizes == [(2, 8), (1, 9), (1, 2)]


def test_a_stream_is_consumed_batch_by_batch(potential):
    """Not collected first: it may be larger than memory."""
    recorder = Recorder(potential)
    pulled = []

    def stream():
        for index, structure in enumerate(MOLECULES):
            pulled.append((index, len(recorder.sizes)))
            yield structure

    predict(recorder, stream(), max_structures=2)

    assert pulled[-1] == (7, 3)


def test_nothing_is_predicted_of_nothing(potential):
    assert predict(potential, []) == []


def test_stress_comes_only_when_asked_for(potential):
    (without,) = predict(potential, [CRYSTAL])
    with_stress, molecule_stress = predict(potential, [CRYSTAL, MOLECULES[0]], stress=True)

    assert without.stress is None
    assert with_stress.stress.shape == (3, 3)
    assert np.isfinite(with_stress.stress).all()
    assert np.isnan(molecule_stress.stress).all()


def test_results_are_float64_on_the_host_whatever_the_potential_computes_in(student):
    (found,) = predict(EagerPotential(student, dtype=torch.float32), [MOLECULES[0]])

    assert isinstance(found.energy, float)
    assert found.forces.dtype == np.float64


def test_a_batch_ignores_cells_if_the_potential_does(student):
    potential = EagerPotential(student)
    potential.honours_cells = False

    assert collate_for(potential, [CRYSTAL]).edge_index.shape[1] == 2
    potential.honours_cells = True
    assert collate_for(potential, [CRYSTAL]).edge_index.shape[1] > 2


def test_a_prediction_is_cut_at_the_right_atoms():
    structures = [Structure([1] * n, np.zeros((n, 3))) for n in (2, 1, 3)]
    forces = torch.arange(18.0).reshape(6, 3)

    parts = split(Prediction(torch.tensor([1.0, 2.0, 3.0]), forces), structures)

    assert [p.energy for p in parts] == [1.0, 2.0, 3.0]
    assert [p.forces[0, 0] for p in parts] == [0.0, 6.0, 9.0]
    assert [len(p.forces) for p in parts] == [2, 1, 3]
    assert all(p.stress is None for p in parts)


def test_a_prediction_of_another_number_of_structures_is_refused():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        split(Prediction(torch.zeros(3), torch.zeros(2, 3)), [Structure([1], np.zeros((1, 3)))] * 2)
