"""Lone atoms that are wrong by a known amount, and elements that were or were not trained."""

from dataclasses import replace

import pytest
import torch
from springs import Changed, PairPotential, failing, measured, soft, subject_of

from mlffd.checkpoints import save_checkpoint
from mlffd.checks.atoms import check_element_coverage, check_isolated_atoms
from mlffd.checks.cases import plan
from mlffd.checks.subjects import StudentSubject
from mlffd.students import build
from mlffd.verdicts import Verdict

#: eV, by atomic number.
ENERGIES = {1: -13.0, 6: -1030.0, 8: -2040.0}


def with_atomic_energies(change=lambda batch, prediction: prediction):
    def complete(batch, prediction):
        atoms = torch.tensor([ENERGIES[z] for z in batch.numbers.tolist()], dtype=torch.float64)
        energy = prediction.energy.index_add(0, batch.structure_index, atoms)
        return change(batch, replace(prediction, energy=energy))

    return Changed(PairPotential(soft), complete)


def evidence_of(potential):
    return check_isolated_atoms(subject_of(potential, elements=[8, 1, 6]))


def is_pair(batch, first, second):
    """Whether each structure ``[B]`` is of these two atoms."""
    found = torch.zeros(len(batch), dtype=torch.bool)
    for index, count in enumerate(batch.atom_counts.tolist()):
        numbers = batch.numbers[batch.structure_index == index].tolist()
        found[index] = count == 2 and sorted(numbers) == sorted([first, second])
    return found


def test_energies_of_lone_atoms_add_up():
    evidence = evidence_of(with_atomic_energies())
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence)["energy_sum"] < 1e-9
    assert evidence.details["energies"] == {"H": -13.0, "C": -1030.0, "O": -2040.0}


@pytest.mark.parametrize(("size", "found"), [(0.95e-9, set()), (1.05e-9, {"energy_sum"})])
@pytest.mark.parametrize("pair", [(1, 1), (1, 8), (8, 8), (6, 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_any_two_atoms_may_miss_their_sum_by_rounding_only(size, found, pair, sign):
    """Large energies are known to 2e-13 eV only."""

    def change(batch, prediction):
        return replace(prediction, energy=prediction.energy + sign * size * is_pair(batch, *pair))

    assert failing(evidence_of(with_atomic_energies(change))) == found


@pytest.mark.parametrize(("size", "found"), [(0.95e-9, set()), (1.05e-9, {"forces_max"})])
@pytest.mark.parametrize("atoms", [1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_atom_without_neighbours_feels_no_force(size, found, atoms, sign):
    """Alone, or with another one far away."""

    def change(batch, prediction):
        concerned = batch.atom_counts[batch.structure_index] == atoms
        concerned &= batch.numbers == 6
        forces = prediction.forces.clone()
        forces[concerned, 1] += sign * size
        return replace(prediction, forces=forces)

    assert failing(evidence_of(with_atomic_energies(change))) == found


@pytest.mark.parametrize(("reach", "found"), [(29.0, set()), (31.0, {"energy_sum", "forces_max"})])
def test_thirty_angstrom_are_far(reach, found):
    potential = PairPotential(lambda d: (reach - d).clamp(min=0) ** 2)
    potential.cutoff = 60.0
    assert failing(evidence_of(potential)) == found


def test_an_energy_that_is_no_number_is_seen_among_others():
    def change(batch, prediction):
        energy = prediction.energy.clone()
        energy[is_pair(batch, 1, 6)] = torch.nan
        return replace(prediction, energy=energy)

    assert failing(evidence_of(with_atomic_energies(change))) == {"energy_sum"}


@pytest.fixture
def student_of(tmp_path, monkeypatch):
    """A student whose file states some elements, and whose weights tell others, or nothing."""

    def make(stated, asked, moved=None):
        torch.manual_seed(3)
        config = {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4, "max_z": 20}
        student = build("StudentForceField", config)
        monkeypatch.setattr(type(student), "trained_elements", lambda weights: moved)
        save_checkpoint(tmp_path / "s.pt", student, elements=stated, training={})
        elements = None if asked is None else frozenset(asked)
        return StudentSubject(name="s", path=tmp_path / "s.pt", elements=elements)

    return make


def test_elements_that_were_trained_can_be_served(student_of):
    """Weights that do not tell leave what the file says."""
    evidence = check_element_coverage(student_of([1, 6, 8], [6, 8]))
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence) == {"untrained_elements": 0}
    assert evidence.details["untrained"] == evidence.details["stated_only"] == []


def test_each_element_that_was_not_is_named(student_of):
    evidence = check_element_coverage(student_of([1, 6, 8], [17, 6, 9]))
    assert evidence.verdict is Verdict.FAIL
    assert measured(evidence) == {"untrained_elements": 2}
    assert evidence.details["untrained"] == ["F", "Cl"]
    assert evidence.details["trained"] == ["H", "C", "O"]
    assert evidence.message == "never trained, yet to be served: F, Cl"


def test_one_element_that_was_not_trained_is_enough(student_of):
    assert check_element_coverage(student_of([1, 6], [1, 6, 8])).verdict is Verdict.FAIL


def test_what_a_file_says_does_not_count_where_its_weights_say_otherwise(student_of):
    moved = frozenset({1, 6, 9})
    evidence = check_element_coverage(student_of([1, 6, 8], [1, 6, 8, 9], moved))
    assert evidence.details["untrained"] == ["O", "F"]
    assert evidence.details["stated_only"] == ["O"]
    assert evidence.details["trained"] == ["H", "C"]


def test_where_neither_tells_nothing_is_decided(student_of):
    subject = student_of([1], [1])
    subject.checkpoint = replace(subject.checkpoint, elements=None)
    assert check_element_coverage(subject).verdict is Verdict.INCONCLUSIVE


def test_unless_somebody_says_which_elements_it_is_to_serve_nobody_asks(student_of):
    silent = plan([student_of([1], None)], ["element_coverage", "loads"])
    assert [o.check for o in silent.omissions] == ["element_coverage"]
    asked = plan([student_of([1], [1])], ["element_coverage", "loads"])
    assert asked.omissions == []
