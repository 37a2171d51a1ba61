"""A new architecture is one module: here it is one class, and everything else takes it."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from mlffd.errors import InputError
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import predict
from mlffd.structures.structure import Structure
from mlffd.students import Student, architectures, build, identify, register
from mlffd.students.registry import _ARCHITECTURES, architecture


def make_pair_potential():
    """Declare and register an architecture with an analytic energy."""

    @register("HarmonicPairs")
    class HarmonicPairs(Student):
        """Half of ``k (d - 1)^2`` for each atom of a pair nearer than the cutoff."""

        def __init__(self, cutoff: float) -> None:
            super().__init__()
            self.cutoff, self.revision, self.honours_cells = cutoff, 1, True
            self.max_z = 118
            self.stiffness = torch.nn.Parameter(torch.tensor(3.0))

        def atomic_energies(self, numbers, vectors, edge_index, *, mirrored=False):  # noqa: ARG002
            per_edge = 0.5 * self.stiffness * (torch.linalg.vector_norm(vectors, dim=1) - 1) ** 2
            return vectors.new_zeros(len(numbers)).index_add(0, edge_index[1], per_edge).double()

        @property
        def config(self):
            return {"cutoff": self.cutoff, "revision": 1}

        @classmethod
        def from_config(cls, config: Mapping[str, object]):
            return cls(float(config["cutoff"]))

        @classmethod
        def infer_config(cls, weights):
            return {"cutoff": 5.0, "revision": 1} if set(weights) == {"stiffness"} else None

        @classmethod
        def trained_elements(cls, weights):  # noqa: ARG003
            return None

    return HarmonicPairs


@pytest.fixture
def pair_potential():
    yield make_pair_potential()
    _ARCHITECTURES.pop("HarmonicPairs")


def test_a_second_architecture_is_one_class(pair_potential):
    assert architectures()["HarmonicPairs"] is pair_potential
    assert pair_potential.architecture == "HarmonicPairs"
    student = build("HarmonicPairs", {"cutoff": 5.0})
    assert isinstance(student, pair_potential)
    assert student.parameter_count == 1
    assert identify(student.state_dict()) == ("HarmonicPairs", {"cutoff": 5.0, "revision": 1})


def test_its_forces_and_stress_are_those_of_its_energy(pair_potential):
    """Against the formula: the base class differentiates correctly, sums and signs included."""
    potential = EagerPotential(build("HarmonicPairs", {"cutoff": 2.0}))
    pair = Structure([1, 1], [[0.0, 0, 0], [0, 0, 1.5]])
    triple = Structure([1, 1, 1], [[0.0, 0, 0], [1.2, 0, 0], [0, 1.4, 0]])
    chain = Structure([1], [[0.0, 0, 0]], cell=np.diag([1.6, 3.0, 3.0]), pbc=[True] * 3)

    first, second, third = predict(potential, [pair, triple, chain], stress=True)

    # Both directed edges count: V = k (d - 1)^2 for a pair.
    assert first.energy == pytest.approx(3.0 * 0.25)
    np.testing.assert_allclose(first.forces, [[0, 0, 3.0], [0, 0, -3.0]], atol=1e-12)
    diagonal = np.hypot(1.2, 1.4)
    energy = 3.0 * (0.2**2 + 0.4**2 + (diagonal - 1) ** 2)
    assert second.energy == pytest.approx(energy)
    np.testing.assert_allclose(second.forces.sum(axis=0), 0.0, atol=1e-12)
    # One atom and its two images along x, at the half of each pair: V = k (a - 1)^2.
    assert third.energy == pytest.approx(3.0 * 0.6**2)
    np.testing.assert_allclose(third.forces, 0.0, atol=1e-12)
    expected = np.zeros((3, 3))
    expected[0, 0] = 2 * 3.0 * 0.6 * 1.6 / (1.6 * 3.0 * 3.0)
    np.testing.assert_allclose(third.stress, expected, atol=1e-12)


def test_it_is_gone_after_the_test_that_registered_it():
    assert list(architectures()) == ["StudentForceField"]


def test_a_name_is_taken_once(pair_potential):
    with pytest.raises(ValueError, match="'HarmonicPairs' is registered twice"):
        make_pair_potential()
    assert architectures()["HarmonicPairs"] is pair_potential


def test_the_list_of_architectures_is_a_copy():
    architectures().clear()

    assert "StudentForceField" in architectures()


@pytest.mark.parametrize("find", [architecture, lambda name: build(name, {})])
def test_an_unknown_architecture_is_refused_with_those_there_are(find):
    with pytest.raises(InputError, match="'SchNet' is unknown; known: StudentForceField"):
        find("SchNet")


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"embedding.weight": torch.zeros(5, 8)},
        {"embedding.weight": torch.zeros(5), "rbf.centers": torch.zeros(3)},
        {"embedding.weight": torch.zeros(5, 8), "rbf.centers": torch.zeros(3)},
        {
            "embedding.weight": torch.zeros(5, 8),
            "rbf.centers": torch.tensor([0.0, float("nan")]),
            "interactions.0.update.mixing_matrix": torch.eye(3),
        },
    ],
    ids=["nothing", "no basis", "flat", "no layers", "nan"],
)
def test_weights_that_fit_no_architecture_are_refused(weights):
    with pytest.raises(InputError, match="fit none of: StudentForceField"):
        identify(weights)


def test_weights_that_fit_two_architectures_are_refused(pair_potential, make_student, monkeypatch):
    monkeypatch.setattr(
        pair_potential, "infer_config", classmethod(lambda cls, weights: {"revision": 1})
    )

    with pytest.raises(InputError, match=r"fit 2 architectures \(HarmonicPairs, StudentForceF"):
        identify(make_student().state_dict())
