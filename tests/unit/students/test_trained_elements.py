import pytest
import torch
from ase.build import molecule

from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure

METHANE = Structure.from_atoms(molecule("CH4"))


def train(student, structure, optimizer):
    batch = collate([structure], student.cutoff, dtype=torch.float32)
    prediction = student(batch, create_graph=True)
    loss = (prediction.forces**2).sum() + (prediction.energy**2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("revision", [1, 2])
def test_one_step_on_carbon_and_hydrogen_shows_exactly_those(make_student, revision):
    """At structures off symmetry, where revision 1 has gradients too."""
    student = make_student(revision=revision)
    assert type(student).trained_elements(student.state_dict()) == frozenset()
    bent = METHANE.with_positions(METHANE.positions * [1.0, 1.1, 0.95])

    train(student, bent, torch.optim.Adam(student.parameters(), lr=1e-4))

    assert type(student).trained_elements(student.state_dict()) == {1, 6}


def test_weight_decay_moves_every_row_so_that_nothing_can_be_told(make_student):
    student = make_student()

    train(student, METHANE, torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.1))

    assert type(student).trained_elements(student.state_dict()) is None


def test_other_initial_weights_do_not_tell(make_student):
    student = make_student()
    torch.nn.init.normal_(student.get_parameter("embedding.weight"))

    assert type(student).trained_elements(student.state_dict()) is None


def test_float64_weights_do_not_tell(make_student):
    student = make_student().double()

    assert type(student).trained_elements(student.state_dict()) is None


@pytest.mark.parametrize("seed", range(5))
def test_untrained_rows_are_recognised_for_any_seed_and_size(make_student, seed):
    student = make_student(hidden_dim=128, num_interactions=1, max_z=100)
    torch.manual_seed(seed)
    rows = student.get_parameter("embedding.weight")
    torch.nn.init.uniform_(rows, -(3**0.5), 3**0.5)
    with torch.no_grad():
        rows[17] *= 1.0 - 1e-6

    assert type(student).trained_elements(student.state_dict()) == {17}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_row_that_diverged_counts_as_trained_and_warns_of_nothing(make_student, value):
    weights = make_student().state_dict()
    weights["embedding.weight"][6, 3] = value

    assert type(make_student()).trained_elements(weights) == {6}
