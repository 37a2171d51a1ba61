"""What a golden would be now, what would change, and what is refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judged import labelled_structures, predictions_for

from mlffd.checks import proposing
from mlffd.checks.foreign import ForeignSubject
from mlffd.checks.proposing import (
    changes,
    goldens_of,
    propose,
    propose_counters,
    refuse_mismatch,
)
from mlffd.checks.subjects import DatasetSubject, StudentSubject
from mlffd.errors import InputError
from mlffd.golden.proposals import RecordProposal, StudentProposal
from mlffd.golden.records import StudentGolden
from mlffd.performance.counting import torch_release
from mlffd.structures.dataset import write_dataset

STRUCTURES = labelled_structures()


@pytest.fixture
def student(checkpoint, tmp_path):
    write_dataset(tmp_path / "labels.h5", STRUCTURES, metadata={})
    subject = StudentSubject(
        name="small",
        path=checkpoint,
        golden_path=tmp_path / "golden" / "small.json",
        dataset_path=tmp_path / "labels.h5",
        counters_path=tmp_path / "golden" / "counters.json",
    )
    subject.predictions = predictions_for(STRUCTURES)
    subject.counters = {"water": {"operators": 3}}
    return subject


@pytest.fixture
def data(student):
    return DatasetSubject(name="data", path=student.dataset_path, golden_path=Path("data.json"))


def empty(path):
    """A data set without structures."""
    return type("Empty", (list,), {"path": path})()


def test_every_golden_that_the_settings_name_has_its_check(student, data):
    golden, counters = goldens_of(student)
    assert golden[:3] == ("small", student.golden_path, "matches_golden")
    assert counters[:3] == ("small (counters)", student.counters_path, "counters")
    assert golden.propose().record.kind == "student"
    assert counters.propose().record.kind == "counters"
    (coverage,) = goldens_of(data)
    assert coverage[:3] == ("data", Path("data.json"), "dataset_coverage")
    assert coverage.propose().record.kind == "dataset"


def test_a_subject_without_goldens_has_none(student, data):
    student.golden_path = None
    assert [g.check for g in goldens_of(student)] == ["counters"]
    student.golden_path, student.counters_path = Path("small.json"), None
    assert [g.check for g in goldens_of(student)] == ["matches_golden"]
    data.golden_path = None
    assert goldens_of(data) == []
    assert goldens_of(ForeignSubject("theirs", Path("a.onnx"), Path("a.pt"))) == []


def test_a_student_is_proposed_with_narrow_tolerances_and_where_it_comes_from(student):
    proposal = propose(student)
    assert isinstance(proposal, StudentProposal)
    record = proposal.record
    assert (record.subject, record.revision) == ("small", student.checkpoint.revision)
    assert record.weights == student.checkpoint.fingerprint
    assert record.dataset == student.dataset.fingerprint
    (entry,) = record.environments.values()
    assert list(record.environments) == ["cpu"]
    assert (entry.predictions.energy_per_atom, entry.predictions.forces) == (1e-9, 1e-8)
    assert entry.metrics["forces_mae"].value == pytest.approx(0.08, rel=0.1)
    assert {"date", "command", "device", "versions"} <= set(entry.provenance)
    assert json.dumps(proposal.as_dict(), allow_nan=False)


def test_the_commit_is_that_of_the_repository_that_keeps_the_golden(student, monkeypatch):
    asked = []
    monkeypatch.setattr(proposing, "describe_commit", lambda f: asked.append(f) or {})
    propose(student)
    student.golden_path = None
    propose(student)
    assert asked == [student.dataset_path.parent / "golden", Path.cwd()]


def test_counters_are_those_of_this_pytorch(student):
    record = propose_counters(student).record
    assert (record.subject, record.torch) == ("small", torch_release())
    assert record.counters == student.counters


def test_a_data_set_is_proposed_with_what_it_covers(data):
    record = propose(data).record
    assert (record.subject, record.structures, record.largest) == ("data", len(STRUCTURES), 3)
    assert record.fingerprint == data.dataset.fingerprint
    assert set(record.elements) == {"H", "C", "O"}
    assert record.kinds == {"periodic": 0, "labelled": len(STRUCTURES), "stress": 0}


@pytest.mark.parametrize("change", [{"energy": (3, math.nan)}, {"forces": (3, math.inf)}])
def test_predictions_that_are_no_numbers_are_not_proposed(student, change):
    student.predictions = predictions_for(STRUCTURES, **change)
    with pytest.raises(InputError, match="small: predictions are not finite: nothing to propose"):
        propose(student)


def test_labels_that_are_no_numbers_are_not_proposed_with(student, monkeypatch):
    def refuse(found):
        raise InputError("energy_mae_per_atom is not finite")

    monkeypatch.setattr(proposing, "metric_records", refuse)
    with pytest.raises(
        InputError, match=r"labels\.h5: energy_mae_per_atom is not finite for small"
    ):
        propose(student)


def test_without_data_there_is_nothing_to_make_a_golden_with(student, data):
    for subject in (student, data):
        subject.dataset = empty(Path("empty.h5"))
        with pytest.raises(InputError, match=r"empty\.h5: no structures: nothing to make a golden"):
            propose(subject)
    student.dataset = None
    with pytest.raises(InputError, match="small: no data set to make a golden with"):
        propose(student)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0])
def test_a_data_set_of_nonsense_is_not_proposed(data, monkeypatch, value):
    original = proposing.measure_coverage

    def spoilt(structures):
        coverage = original(structures)
        return replace(coverage, typical={**coverage.typical, "forces_rms": value})

    monkeypatch.setattr(proposing, "measure_coverage", spoilt)
    with pytest.raises(InputError, match=f"forces_rms is {value:g}: no golden can be made of it"):
        propose(data)


def test_small_typical_sizes_are_no_nonsense(tmp_path):
    """Forces of a hundredth of an eV/Å, in a data set near its minima."""
    calm = [replace(s, forces=0.01 * s.forces) for s in STRUCTURES]
    write_dataset(tmp_path / "calm.h5", calm, metadata={})
    record = propose(DatasetSubject(name="calm", path=tmp_path / "calm.h5")).record
    assert 0 < record.typical["forces_rms"] < 0.1


def test_changes_are_told_for_each_kind_of_golden(student, data):
    student.golden = data.golden = student.golden_counters = None
    assert changes(student, propose(student))[0] == "no golden yet; would become:"
    assert changes(student, propose_counters(student))
    assert changes(data, propose(data))

    proposal = propose(student)
    student.golden = StudentGolden(proposal.record, proposal.predictions)
    student.golden_counters = propose_counters(student).record
    data.golden = propose(data).record
    assert changes(student, proposal) == []
    assert changes(student, propose_counters(student)) == []
    assert changes(data, propose(data)) == []
    student.counters = {"water": {"operators": 4}}
    assert changes(student, propose_counters(student)) == ["water: operators: 3 -> 4 (+1)"]


def test_a_proposal_of_these_very_files_is_not_refused(student, data):
    refuse_mismatch(student, propose(student))
    refuse_mismatch(student, propose_counters(student))
    refuse_mismatch(data, propose(data))


@pytest.mark.parametrize(("key", "what"), [("weights", "weights"), ("dataset", "data")])
def test_a_proposal_of_other_weights_or_data_is_refused(student, key, what):
    proposal = propose(student)
    record = proposal.record.model_copy(update={key: "sha256:" + "7" * 64})
    with pytest.raises(InputError, match=f"small: proposed for {what} sha256:777777777777, but"):
        refuse_mismatch(student, StudentProposal(record, proposal.predictions))


def test_a_proposal_of_other_data_is_refused(data):
    record = propose(data).record.model_copy(update={"fingerprint": "sha256:" + "7" * 64})
    with pytest.raises(InputError, match="data: proposed for data sha256:777777777777, but"):
        refuse_mismatch(data, RecordProposal(record))


def test_a_proposal_of_another_kind_is_refused(student, data):
    with pytest.raises(InputError, match="data: proposed as a student: not accepted"):
        refuse_mismatch(data, propose(student))
    with pytest.raises(InputError, match="small: proposed as a dataset: not accepted"):
        refuse_mismatch(student, propose(data))
    with pytest.raises(InputError, match="data: proposed as a counters: not accepted"):
        refuse_mismatch(data, propose_counters(student))


def test_counters_may_be_of_other_weights(student):
    proposal = propose_counters(student)
    student.checkpoint = replace(student.checkpoint, fingerprint="sha256:" + "7" * 64)
    refuse_mismatch(student, proposal)


def test_predictions_are_kept_as_they_are(student):
    np.testing.assert_array_equal(propose(student).predictions.forces, student.predictions.forces)


def test_results_belong_to_the_device_that_made_them(student, monkeypatch):
    """What is valid for this GPU alone, before what is valid for any."""
    monkeypatch.setattr(proposing, "environment_keys", lambda device: ["cuda:this one", "cuda"])
    assert set(propose(student).record.environments) == {"cuda:this one"}
