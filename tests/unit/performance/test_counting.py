import numpy as np
import pytest
import torch

from mlffd.errors import InputError
from mlffd.performance.counting import SYSTEMS, count_student, torch_release
from mlffd.performance.harness.systems import system
from mlffd.students import build

CONFIG = {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4, "max_z": 20}


@pytest.fixture(scope="module")
def student():
    torch.manual_seed(0)
    return build("StudentForceField", CONFIG)


@pytest.fixture(scope="module")
def counters(student):
    return count_student(student)


def test_every_system_is_counted_on(counters):
    assert counters.keys() == {*SYSTEMS, "operators", "graph_nodes", "weights"}
    assert len({frozenset(counters[name]) for name in SYSTEMS}) == 1
    for name in SYSTEMS:
        assert counters[name]["operators"] == sum(counters["operators"].values())
        assert counters[name]["synchronizations"] == 0


def test_edges_are_the_ordered_pairs_within_the_cutoff(counters):
    (molecule,) = system("batch1")
    separations = molecule.positions[:, None] - molecule.positions
    near = np.linalg.norm(separations, axis=2) < 5.0

    assert counters["batch1"]["edges"] == near.sum() - len(molecule)


def test_weights_are_counted_as_float32_but_for_the_reference_energies(counters, student):
    buffers = CONFIG["num_rbf"] * 2 * 4 + (CONFIG["max_z"] + 1) * 8

    assert counters["weights"] == {
        "parameters": student.parameter_count,
        "bytes": 4 * student.parameter_count + buffers,
    }


def test_the_student_stays_as_it_is(student, counters):
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_the_dtype_of_the_weights_does_not_matter(student, counters):
    assert count_student(build("StudentForceField", CONFIG).double()) == counters


def test_another_layer_costs_more_of_everything(counters):
    deeper = count_student(build("StudentForceField", {**CONFIG, "num_interactions": 2}))

    constant = {"edges", "synchronizations", "retained_bytes"}
    assert {k for k, n in counters["batch8"].items() if n >= deeper["batch8"][k]} == constant
    assert sum(deeper["graph_nodes"].values()) > sum(counters["graph_nodes"].values())


def test_a_student_that_cannot_be_traced_has_no_graph(student, counters, monkeypatch):
    atomic_energies = type(student).atomic_energies

    def depending_on_a_value(self, numbers, vectors, edge_index, **options):
        if vectors[0, 0].item() > 1e9:
            return vectors.sum(dim=1)
        return atomic_energies(self, numbers, vectors, edge_index, **options)

    monkeypatch.setattr(type(student), "atomic_energies", depending_on_a_value)
    found = count_student(student)

    assert found["graph_nodes"] == {}
    assert found["batch8"]["synchronizations"] == 1


def test_elements_without_weights_are_an_input_error():
    with pytest.raises(InputError, match="the student knows 1 to 6"):
        count_student(build("StudentForceField", {**CONFIG, "max_z": 6}))


def test_a_release_is_a_version_without_what_it_was_built_for():
    assert torch.__version__.startswith(torch_release())
    assert "+" not in torch_release()
