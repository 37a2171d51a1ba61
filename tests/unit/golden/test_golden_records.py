import json

import numpy as np
import pytest
from golden_samples import make_entry, make_golden, make_record, make_structures, perturbed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from mlffd.errors import InputError
from mlffd.golden.proposals import StudentProposal, read_proposals, write_proposals
from mlffd.golden.records import CountersRecord, DatasetRecord, Metric, Predictions
from mlffd.golden.store import read_student_record, to_text, write_student_record

STRUCTURES = make_structures(4)
PREDICTIONS = perturbed(STRUCTURES, 0.1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


@given(
    energy=arrays(np.float64, 3, elements=FINITE), forces=arrays(np.float64, 15, elements=FINITE)
)
def test_predictions_survive_both_files_bit_for_bit(folder, energy, forces):
    predictions = Predictions(
        ("H2", "é ½", ""), energy, forces.reshape(5, 3), np.array([0, 2, 3, 5], dtype=np.int64)
    )
    record = make_record(STRUCTURES, PREDICTIONS)

    write_student_record(folder / "record.json", record, predictions)
    write_proposals(
        folder / "proposals.json",
        [StudentProposal(record, predictions).as_dict()],
        expected=["tiny"],
    )

    (proposal,) = read_proposals(folder / "proposals.json")
    for found in (read_student_record(folder / "record.json").predictions, proposal.predictions):
        assert found.names == predictions.names
        assert found.energy.tobytes() == predictions.energy.tobytes()
        assert found.forces.tobytes() == predictions.forces.tobytes()
        assert found.splits.tolist() == [0, 2, 3, 5]


@given(value=FINITE, tolerance=st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_records_survive_their_text_exactly(value, tolerance):
    entry = make_entry(STRUCTURES, PREDICTIONS)
    metric = entry.metrics["forces_mae"].model_copy(update={"value": value, "tolerance": tolerance})
    entry = entry.model_copy(update={"metrics": {"forces_mae": metric}})
    record = make_record(STRUCTURES, PREDICTIONS, environments={"cpu": entry})

    again = type(record).model_validate_json(to_text(record))

    assert again == record
    assert str(again.environments["cpu"].metrics["forces_mae"].value) == str(value)  # -0.0 too


def test_the_text_is_strict_sorted_and_has_one_metric_a_line():
    record = make_record(STRUCTURES, PREDICTIONS)
    text = to_text(record)

    def refuse(constant):
        raise AssertionError(constant)

    pairs = json.loads(text, object_pairs_hook=lambda p: p, parse_constant=refuse)
    keys = [key for key, _ in pairs]
    assert keys == sorted(keys)
    assert text.endswith("}\n")
    for name, metric in record.environments["cpu"].metrics.items():
        (line,) = [line for line in text.splitlines() if f'"{name}"' in line]
        assert str(metric.value) in line
        assert metric.tolerance_reason in line
        assert metric.reduction in line
        assert f'"unit": "{metric.unit}"' in line  # a reviewer reads Å and not \u00c5


def test_a_changed_metric_is_one_changed_line():
    record = make_record(STRUCTURES, PREDICTIONS)
    entry = record.environments["cpu"]
    metric = entry.metrics["forces_mae"].model_copy(update={"value": 0.5})
    changed = entry.model_copy(update={"metrics": {**entry.metrics, "forces_mae": metric}})

    before = to_text(record).splitlines()
    after = to_text(record.model_copy(update={"environments": {"cpu": changed}})).splitlines()

    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_is_a_number_and_its_tolerance_a_positive_one(value):
    good = make_entry(STRUCTURES, PREDICTIONS).metrics["forces_mae"].model_dump()

    for bad in ({"value": value}, {"tolerance": value}, {"tolerance": 0.0}, {"n": 0}):
        with pytest.raises(ValidationError, match=next(iter(bad))):
            Metric(**{**good, **bad})


def test_a_direction_that_nothing_honours_is_refused():
    good = make_entry(STRUCTURES, PREDICTIONS).metrics["forces_mae"].model_dump()

    with pytest.raises(ValidationError, match="direction"):
        Metric(**{**good, "direction": "higher"})


@pytest.mark.parametrize("name", ["../tiny.npz", "/etc/tiny.npz", "a\\b.npz", "tiny.pkl", ".npz\n"])
def test_a_record_names_arrays_beside_itself_only(name):
    with pytest.raises(ValidationError, match="predictions_file"):
        make_record(STRUCTURES, PREDICTIONS, predictions_file=name)


def test_the_most_specific_entry_holds_and_the_cpu_stands_in():
    entry = make_entry(STRUCTURES, PREDICTIONS)
    keys = ("cuda:sm_90", "cuda")

    def chosen(*environments):
        record = make_record(
            STRUCTURES, PREDICTIONS, environments=dict.fromkeys(environments, entry)
        )
        return record.entry(keys)[0]

    assert chosen("cpu", "cuda", "cuda:sm_90") == "cuda:sm_90"
    assert chosen("cpu", "cuda") == "cuda"
    assert chosen("cpu", "cuda:sm_80") == "cpu"


def test_no_entry_at_all_is_an_error_that_says_what_there_is():
    entry = make_entry(STRUCTURES, PREDICTIONS)
    record = make_record(STRUCTURES, PREDICTIONS, environments={"cuda:sm_80": entry})

    with pytest.raises(InputError, match=r"tiny: no entry for cuda:sm_90, cuda or cpu.*cuda:sm_80"):
        record.entry(("cuda:sm_90", "cuda"))


@pytest.mark.parametrize(
    ("names", "energy", "forces", "splits"),
    [
        (("a", "b"), 1, 2, [0, 1, 2]),  # an energy is missing
        (("a", "b"), 2, 3, [0, 1, 2]),  # a force too many
        (("a", "b"), 2, 2, [0, 2]),  # a split is missing
        (("a", "b"), 2, 2, [0, 0, 2]),  # a structure without atoms
        (("a", "b"), 2, 2, [1, 2, 2]),  # an atom of nobody
        (("a", "b"), 2, 2, [0, 3, 2]),  # backwards
        ((), 0, 0, [0]),  # nothing, with which everything would agree
    ],
)
def test_predictions_that_do_not_fit_together_are_refused(names, energy, forces, splits):
    with pytest.raises(InputError, match="do not fit together"):
        Predictions(names, np.zeros(energy), np.zeros((forces, 3)), np.array(splits))


def test_forces_are_found_structure_by_structure():
    for index, structure in enumerate(STRUCTURES):
        assert PREDICTIONS.forces_of(index).shape == structure.forces.shape
    together = np.concatenate([PREDICTIONS.forces_of(i) for i in range(len(PREDICTIONS))])
    assert np.array_equal(together, PREDICTIONS.forces)


def test_differences_are_per_structure_energies_per_atom_forces_by_worst_component():
    energy, forces = PREDICTIONS.energy.copy(), PREDICTIONS.forces.copy()
    energy[2] += 3.0  # of three atoms
    forces[-1] += [0.1, -0.5, 0.2]  # of the last structure

    by_energy, by_forces = PREDICTIONS.differences(
        Predictions(PREDICTIONS.names, energy, forces, PREDICTIONS.splits)
    )

    assert by_energy == pytest.approx([0.0, 0.0, 1.0, 0.0])
    assert by_forces == pytest.approx([0.0, 0.0, 0.0, 0.5])


def test_differences_keep_nan_and_refuse_other_structures():
    forces = PREDICTIONS.forces.copy()
    forces[0, 0] = np.nan
    spoilt = Predictions(PREDICTIONS.names, PREDICTIONS.energy, forces, PREDICTIONS.splits)

    assert np.isnan(PREDICTIONS.differences(spoilt)[1][0])
    assert not spoilt.is_finite()
    with pytest.raises(InputError, match="other sizes"):
        PREDICTIONS.differences(perturbed(STRUCTURES[:3], 0.1))


def test_counters_name_the_release_that_they_were_counted_in():
    fields = {"subject": "tiny", "counters": {}, "provenance": {}}

    assert CountersRecord(torch="2", **fields).torch == "2"
    with pytest.raises(ValidationError, match="torch"):
        CountersRecord(torch="", **fields)


def test_records_are_not_changed_in_place():
    record = make_record(STRUCTURES, PREDICTIONS)

    with pytest.raises(ValidationError, match="frozen"):
        record.subject = "original"


def test_a_data_set_record_is_strict():
    good = {
        "subject": "data",
        "fingerprint": "sha256:" + "0" * 64,
        "structures": 3,
        "kinds": {"periodic": 0},
        "typical": {"forces_rms": 1.5},
        "largest": 5,
        "elements": {"H": {"atoms": 4, "structures": 2}},
        "provenance": {},
    }
    assert DatasetRecord(**good).elements["H"].atoms == 4
    for bad in (
        {"fingerprint": "sha256:0"},
        {"structures": 0},
        {"kinds": {"periodic": -1}},
        {"typical": {"forces_rms": 0.0}},
        {"comment": "x"},
        {"format_version": 2},
        {"kind": "student"},
    ):
        with pytest.raises(ValidationError, match=next(iter(bad))):
            DatasetRecord(**{**good, **bad})


def test_a_golden_is_a_record_with_predictions():
    golden = make_golden(STRUCTURES, PREDICTIONS)

    assert golden.record.subject == "tiny"
    assert golden.predictions is PREDICTIONS
