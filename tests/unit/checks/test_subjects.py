"""What a student is tried on, and what is made once and kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from judged import labelled_structures

from mlffd.checkpoints import load_checkpoint
from mlffd.checks.subjects import DatasetSubject, StudentSubject
from mlffd.errors import InputError
from mlffd.structures import probes
from mlffd.structures.dataset import write_dataset
from mlffd.structures.structure import Structure


@pytest.fixture
def subject(checkpoint):
    return StudentSubject(name="small", path=checkpoint)


def trained_on(subject, elements):
    """The subject with a checkpoint that says so; None: it does not say."""
    stated = None if elements is None else frozenset(elements)
    subject.checkpoint = replace(subject.checkpoint, elements=stated)
    return subject


@pytest.mark.parametrize(
    ("trained", "asked", "expected"),
    [
        ({1, 6, 8}, None, {1, 6, 8}),
        ({1, 6, 8}, {6, 9}, {6}),  # what it is to serve, as far as it can
        ({1, 6, 8, 26}, None, {1, 6, 8}),  # what molecules consist of
        ({26, 28}, None, {26, 28}),
        ({26, 28}, {6}, {26, 28}),
        ({1, 26}, {6}, {1}),
        (None, {6, 9}, {6, 9}),
        (None, None, probes.ELEMENTS),
    ],
)
def test_physics_is_tried_on_trained_elements_that_are_asked_for(subject, trained, asked, expected):
    subject.elements = None if asked is None else frozenset(asked)
    assert trained_on(subject, trained).probe_elements == expected


def test_nothing_can_be_tried_on_a_student_without_an_element(subject):
    with pytest.raises(InputError, match="no element was trained"):
        _ = trained_on(subject, ()).probe_elements


def test_known_molecules_of_more_than_two_atoms_should_survive_dynamics(subject):
    subject.probe_elements = frozenset({1, 6, 8, 9})
    names = [m.name for m in subject.stable_molecules]
    assert {"CH3CH2OH", "CF4", "H2CO", "H2O"} <= set(names)
    assert {"H2", "F2", "O2"}.isdisjoint(names)
    assert min(len(m) for m in subject.stable_molecules) == 3
    minima = [m.name for m in probes.minima(subject.probe_elements)]
    assert names[: len(minima)] == minima


def chain(count, name, *, periodic=False):
    return Structure(
        np.full(count, 26),
        np.outer(np.arange(count), [2.2, 0.1, 0.0]),
        cell=20 * np.eye(3) if periodic else None,
        pbc=np.full(3, periodic),
        name=name,
    )


def test_without_a_known_molecule_the_first_ten_of_the_data_set_should(subject, tmp_path):
    own = [
        chain(2, "pair"),
        chain(3, "three"),
        chain(3, "crystal", periodic=True),
        *(chain(4, f"four {i}") for i in range(12)),
    ]
    write_dataset(tmp_path / "iron.h5", own, metadata={})
    subject.probe_elements = frozenset({26})
    subject.dataset_path = tmp_path / "iron.h5"
    names = [m.name for m in subject.stable_molecules]
    assert names == ["three", *(f"four {i}" for i in range(9))]


def test_without_a_data_set_there_may_be_none(subject):
    subject.probe_elements = frozenset({26})
    assert subject.stable_molecules == []


def test_what_is_expensive_is_made_once(subject, tmp_path):
    structures = labelled_structures(3)
    write_dataset(tmp_path / "labels.h5", structures, metadata={})
    subject.dataset_path = tmp_path / "labels.h5"
    for name in (
        "checkpoint",
        "potential",
        "dataset",
        "predictions",
        "molecules",
        "stable_molecules",
        "crystals",
        "probe_elements",
    ):
        assert getattr(subject, name) is getattr(subject, name), name
    data = DatasetSubject(name="data", path=tmp_path / "labels.h5")
    for name in ("dataset", "close_pairs"):
        assert getattr(data, name) is getattr(data, name), name
    assert data.golden is None
    assert subject.golden is subject.golden_counters is None
    assert subject.predictions.names == tuple(s.name for s in structures)


def test_costs_are_counted_once_of_the_student_in_float32(subject, monkeypatch):
    counted = []

    def count(student):
        counted.append(student.embedding.weight.dtype)
        return {}

    monkeypatch.setattr("mlffd.checks.subjects.count_student", count)
    assert subject.counters is subject.counters
    assert counted == [torch.float32]


def test_physics_is_that_of_the_weights_in_float64(subject):
    assert subject.potential.dtype is torch.float64
    weights = subject.checkpoint.weights["energy_head.4.weight"]
    assert torch.equal(subject.potential.student.energy_head[4].weight.float(), weights)


def test_weights_that_are_no_numbers_are_read(tmp_path, checkpoint):
    student = load_checkpoint(checkpoint)
    with torch.no_grad():
        student.get_parameter("embedding.weight")[1, 0] = torch.nan
    torch.save({"state_dict": student.state_dict(), "config": student.config}, tmp_path / "s.pt")
    subject = StudentSubject(name="s", path=tmp_path / "s.pt")
    assert subject.checkpoint.non_finite() == {"embedding.weight": 1}


def test_goldens_that_were_never_accepted_are_none(subject, tmp_path):
    subject.golden_path, subject.counters_path = tmp_path / "a.json", tmp_path / "b.json"
    assert subject.golden is subject.golden_counters is None
    data = DatasetSubject(name="data", path=Path("none"), golden_path=tmp_path / "c.json")
    assert data.golden is None


def test_defaults_are_half_a_picosecond_on_the_cpu_and_not_strict(subject):
    assert (subject.nve_picoseconds, subject.device, subject.strict) == (0.5, "cpu", False)
