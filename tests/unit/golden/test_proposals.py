import json
import re

import numpy as np
import pytest
from golden_samples import (
    OTHER_DATASET,
    OTHER_WEIGHTS,
    make_entry,
    make_record,
    make_structures,
    perturbed,
    scaled,
)

from mlffd.errors import InputError
from mlffd.golden.proposals import (
    RecordProposal,
    StudentProposal,
    accept,
    read_proposals,
    write_proposals,
)
from mlffd.golden.records import CountersRecord, DatasetRecord, Predictions
from mlffd.golden.store import read_counters_record, read_dataset_record, read_student_record

STRUCTURES = make_structures(4)
PREDICTIONS = perturbed(STRUCTURES, 0.1)
BETTER = scaled(STRUCTURES, PREDICTIONS, 0.5)
DATASET_RECORD = DatasetRecord(
    subject="data",
    fingerprint="sha256:" + "0" * 64,
    structures=3,
    kinds={"periodic": 1},
    typical={"forces_rms": 1.5},
    largest=5,
    elements={"H": {"atoms": 4, "structures": 2}},
    provenance={"date": "2026-01-01"},
)
COUNTERS = CountersRecord(
    subject="tiny",
    torch="2.13.0",
    counters={"batch1": {"kernels": 227}},
    provenance={"date": "2026-01-01"},
)


def proposal(predictions=PREDICTIONS, **changes):
    return StudentProposal(make_record(STRUCTURES, predictions, **changes), predictions)


def entries(path):
    return read_student_record(path).record.environments


@pytest.fixture
def path(tmp_path):
    """Of a golden with entries for two environments."""
    path = tmp_path / "tiny.json"
    accept(proposal(), path, reason="first")
    accept(proposal(environment="cuda"), path, reason="also there")
    assert sorted(entries(path)) == ["cpu", "cuda"]
    return path


def test_the_reason_is_kept_and_there_is_no_previous_value_at_first(tmp_path):
    accept(proposal(), tmp_path / "tiny.json", reason="trained on more data")

    provenance = entries(tmp_path / "tiny.json")["cpu"].provenance
    assert provenance["reason"] == "trained on more data"
    assert provenance["previous"] is None
    assert provenance["command"] == "mlffd golden accept"


def test_previous_values_are_kept(path):
    before = {name: m.value for name, m in entries(path)["cpu"].metrics.items()}

    accept(proposal(BETTER, weights=OTHER_WEIGHTS), path, reason="second")

    entry = entries(path)["cpu"]
    assert entry.provenance["previous"] == before
    assert entry.metrics["forces_mae"].value == pytest.approx(before["forces_mae"] / 2)


def test_the_predictions_become_the_golden(path):
    accept(proposal(BETTER, weights=OTHER_WEIGHTS), path, reason="second")

    golden = read_student_record(path)
    assert golden.record.weights == OTHER_WEIGHTS
    assert np.array_equal(golden.predictions.energy, BETTER.energy)


def test_other_environments_stay_while_nothing_else_changes(path):
    cuda = entries(path)["cuda"]
    rounded = Predictions(
        PREDICTIONS.names,
        PREDICTIONS.energy + 1e-13,
        PREDICTIONS.forces - 1e-13,
        PREDICTIONS.splits,
    )

    accept(proposal(rounded), path, reason="again")

    assert entries(path)["cuda"] == cuda
    assert entries(path)["cpu"].provenance["reason"] == "again"


@pytest.mark.parametrize(
    "change",
    [{"weights": OTHER_WEIGHTS}, {"dataset": OTHER_DATASET}, {"revision": 3}],
    ids=lambda change: next(iter(change)),
)
def test_other_environments_go_when_they_are_about_something_else(path, change):
    accept(proposal(**change), path, reason="new")

    assert sorted(entries(path)) == ["cpu"]


def test_other_environments_go_when_the_same_weights_predict_something_else(path):
    """The code has changed: figures that nobody measured with it must not stay accepted."""
    forces = PREDICTIONS.forces.copy()
    forces[3, 1] += 1e-6

    changed = Predictions(PREDICTIONS.names, PREDICTIONS.energy, forces, PREDICTIONS.splits)
    accept(proposal(changed), path, reason="a layer was rewritten")

    assert sorted(entries(path)) == ["cpu"]


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_reason_is_demanded(tmp_path, reason):
    for one in (proposal(), RecordProposal(DATASET_RECORD), RecordProposal(COUNTERS)):
        with pytest.raises(InputError, match="--reason"):
            accept(one, tmp_path / "golden.json", reason=reason)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_never_accepted(path, value):
    forces = PREDICTIONS.forces.copy()
    forces[0, 0] = value
    before = path.read_bytes()
    spoilt = Predictions(PREDICTIONS.names, PREDICTIONS.energy, forces, PREDICTIONS.splits)

    with pytest.raises(InputError, match="tiny: predictions are not finite"):
        accept(StudentProposal(proposal().record, spoilt), path, reason="why not")
    assert path.read_bytes() == before


def test_a_damaged_golden_is_not_silently_replaced(path):
    next(path.parent.glob("*.npz")).unlink()

    with pytest.raises(InputError, match="golden predictions cannot be read"):
        accept(proposal(), path, reason="second")


def test_a_data_set_is_accepted_with_its_reason(tmp_path):
    accept(RecordProposal(DATASET_RECORD), tmp_path / "data.json", reason="first")

    record = read_dataset_record(tmp_path / "data.json")
    assert record.provenance == {"date": "2026-01-01", "reason": "first"}
    assert record.elements == DATASET_RECORD.elements


def test_counters_are_accepted_with_their_reason(tmp_path):
    accept(RecordProposal(COUNTERS), tmp_path / "counters.json", reason="first")

    record = read_counters_record(tmp_path / "counters.json")
    assert record.provenance == {"date": "2026-01-01", "reason": "first"}
    assert record.counters == COUNTERS.counters
    with pytest.raises(InputError, match="kind: Input should be 'dataset'"):
        read_dataset_record(tmp_path / "counters.json")


@pytest.fixture
def proposals(tmp_path):
    """A file that a complete run has written."""
    path = tmp_path / "proposals.json"
    records = (RecordProposal(DATASET_RECORD), RecordProposal(COUNTERS))
    rows = [proposal().as_dict(), *(record.as_dict() for record in records)]
    write_proposals(path, rows, expected=["tiny", "data", "tiny (counters)"])
    return path


def test_proposals_survive_their_file(proposals):
    student, data, counters = read_proposals(proposals)

    assert [p.name for p in (student, data, counters)] == ["tiny", "data", "tiny (counters)"]
    assert counters.record == COUNTERS
    assert student.record == proposal().record
    assert np.array_equal(student.predictions.forces, PREDICTIONS.forces)
    assert data.record == DATASET_RECORD


def test_a_run_that_did_not_finish_proposes_nothing(tmp_path):
    write_proposals(tmp_path / "p.json", [proposal().as_dict()], expected=["tiny", "data", "mini"])

    with pytest.raises(InputError, match=r"p\.json: of an incomplete run, without: data, mini"):
        read_proposals(tmp_path / "p.json")


def test_what_is_not_finite_is_not_written(tmp_path):
    row = proposal().as_dict()
    row["predictions"]["energy"][0] = float("nan")

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_proposals(tmp_path / "p.json", [row], expected=["tiny"])
    assert not (tmp_path / "p.json").exists()


def damage_row(change):
    def apply(document):
        change(document["proposals"][0])
        return json.dumps(document)

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: "{", "Invalid JSON"),
        (lambda d: "[]", "Input should be an object"),
        (lambda d: "[" * 100_000, "Invalid JSON"),
        (lambda d: json.dumps({**d, "format": "mlffd"}), "format: Input should be"),
        (lambda d: json.dumps({"format": d["format"]}), "expected: Field required"),
        (lambda d: json.dumps({**d, "expected": [["tiny"]]}), "valid string"),
        (lambda d: json.dumps({**d, "proposals": ["tiny"]}), r"proposals\.0"),
        (damage_row(lambda r: r.pop("record")), "Field required"),
        (damage_row(lambda r: r.pop("predictions")), "Field required"),
        (damage_row(lambda r: r["record"].update(weights="x")), "weights: String should match"),
        (damage_row(lambda r: r["predictions"]["names"].pop()), "do not fit together"),
        (damage_row(lambda r: r["predictions"]["names"].__setitem__(0, None)), "valid string"),
        (damage_row(lambda r: r["predictions"]["forces"].pop()), "do not fit together"),
        (damage_row(lambda r: r["predictions"]["forces"][0].pop()), r"forces\.0"),
        (damage_row(lambda r: r["predictions"].update(splits=[2**70])), r"splits\.0"),
        (damage_row(lambda r: r["record"].update(environments={})), "for one environment"),
    ],
)
def test_damaged_proposals_are_an_input_error_that_names_the_file(proposals, damage, message):
    document = json.loads(proposals.read_text(encoding="utf-8"))
    proposals.write_text(damage(document), encoding="utf-8")

    with pytest.raises(InputError, match=f"{re.escape(str(proposals))}: .*{message}"):
        read_proposals(proposals)


def test_proposals_that_are_not_there_or_no_text(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_proposals(tmp_path / "p.json")
    (tmp_path / "p.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"p\.json: not proposals"):
        read_proposals(tmp_path / "p.json")


def test_what_was_proposed_can_be_accepted(proposals, tmp_path):
    student, *_ = read_proposals(proposals)

    accept(student, tmp_path / "tiny.json", reason="as reviewed")

    golden = read_student_record(tmp_path / "tiny.json")
    assert golden.predictions.forces.tobytes() == PREDICTIONS.forces.tobytes()
    assert golden.record.environments["cpu"].metrics == make_entry(STRUCTURES, PREDICTIONS).metrics
