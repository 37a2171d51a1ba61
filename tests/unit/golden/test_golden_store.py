import hashlib
import io
import json
import re

import numpy as np
import pytest
from golden_samples import make_record, make_structures, perturbed

from mlffd.errors import InputError
from mlffd.golden import store
from mlffd.golden.records import DatasetRecord, ElementCount
from mlffd.golden.store import (
    read_dataset_record,
    read_student_record,
    write_record,
    write_student_record,
)

STRUCTURES = make_structures(4)
OLD, NEW = perturbed(STRUCTURES, 0.1, seed=1), perturbed(STRUCTURES, 0.1, seed=2)


def write(path, predictions=OLD, **changes):
    return write_student_record(path, make_record(STRUCTURES, predictions, **changes), predictions)


@pytest.fixture
def path(tmp_path):
    """Of a golden that is there."""
    path = tmp_path / "records" / "tiny.json"
    write(path)
    return path


def replace_arrays(path, content):
    """Put other arrays under a golden and make the record vouch for them."""
    document = json.loads(path.read_text(encoding="utf-8"))
    (path.parent / document["predictions_file"]).write_bytes(content)
    document["predictions_sha256"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(document), encoding="utf-8")


def npz(**changes):
    buffer = io.BytesIO()
    good = {"names": np.array(OLD.names), "energy": OLD.energy, "forces": OLD.forces}
    np.savez_compressed(buffer, **{**good, "splits": OLD.splits, **changes})
    return buffer.getvalue()


def test_what_was_written_is_read(path):
    golden = read_student_record(path)

    assert golden.record.environments == make_record(STRUCTURES, OLD).environments
    assert golden.predictions.names == OLD.names
    assert np.array_equal(golden.predictions.forces, OLD.forces)
    assert (path.parent / golden.record.predictions_file).is_file()


def test_a_golden_that_was_never_accepted_is_none(tmp_path):
    assert read_student_record(tmp_path / "tiny.json") is None
    assert read_dataset_record(tmp_path / "tiny.json") is None


def test_the_same_golden_gives_the_same_files(path, tmp_path):
    again = tmp_path / "again" / "tiny.json"
    write(again)

    files = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    assert files == {p.name: p.read_bytes() for p in again.parent.iterdir()}


@pytest.mark.parametrize("name", ["my student.json", "a[b]*.json", "größe+1.json", "v1.2.json"])
def test_any_file_name_can_be_read_again_and_replaced(tmp_path, name):
    path = tmp_path / name
    write(path)
    write(path, NEW)

    assert np.array_equal(read_student_record(path).predictions.energy, NEW.energy)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: "{", "file: Invalid JSON"),
        (lambda d: "[]", "file: "),
        (lambda d: json.dumps({**d, "comment": 1}), "comment: Extra inputs"),
        (lambda d: json.dumps({k: v for k, v in d.items() if k != "weights"}), "weights: Field"),
        (lambda d: json.dumps({**d, "weights": "abc"}), "weights: String should match"),
        (lambda d: json.dumps({**d, "format_version": 2}), "format_version: Input should be 1"),
        (lambda d: json.dumps({**d, "kind": "dataset"}), "kind: Input should be 'student'"),
    ],
)
def test_a_damaged_record_is_named_with_the_key(path, damage, message):
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(damage(document), encoding="utf-8")

    with pytest.raises(InputError, match=f"{re.escape(str(path))}: not a golden record: {message}"):
        read_student_record(path)


def test_a_metric_that_is_not_finite_is_named_by_its_whole_key(path):
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'("value": )[^}]+', r"\1NaN", text, count=1), encoding="utf-8")

    key = r"environments\.cpu\.metrics\.energy_mae_per_atom\.value"
    with pytest.raises(InputError, match=key):
        read_student_record(path)


def test_a_folder_in_place_of_a_record_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=f"{re.escape(str(tmp_path))}: cannot be read"):
        read_student_record(tmp_path)


def test_missing_arrays_are_named(path):
    (arrays,) = path.parent.glob("*.npz")
    arrays.unlink()

    with pytest.raises(InputError, match=f"{re.escape(str(arrays))}: golden predictions cannot"):
        read_student_record(path)


def test_arrays_that_somebody_replaced_are_noticed(path):
    (arrays,) = path.parent.glob("*.npz")
    arrays.write_bytes(npz(energy=OLD.energy + 1e-15))

    with pytest.raises(InputError, match=f"{re.escape(str(arrays))}: sha256 differs"):
        read_student_record(path)


class Touch:
    """Its pickle would write a file when loaded."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def test_pickles_in_the_arrays_are_never_loaded(path, tmp_path):
    target = tmp_path / "executed"
    replace_arrays(path, npz(names=np.array([Touch(target)] * 4, dtype=object)))

    with pytest.raises(InputError, match="not golden predictions"):
        read_student_record(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no arrays",
        b"PK\x03\x04 and nothing else",
        npz()[:-30],
        npz(energy=OLD.energy[:-1]),
        npz(forces=OLD.forces[:, :2]),
        npz(splits=OLD.splits.astype(np.float64)),
        npz(energy=np.array(["1.0"] * 4)),
        npz(names=np.array("one")),
        npz(forces=np.where(OLD.forces == OLD.forces[0, 0], np.nan, OLD.forces)),
    ],
    ids=[
        "empty",
        "text",
        "start of a zip",
        "cut",
        "energy",
        "forces",
        "splits",
        "text energy",
        "one name",
        "nan",
    ],
)
def test_arrays_that_are_no_predictions_are_refused(path, content):
    replace_arrays(path, content)
    (arrays,) = path.parent.glob("*.npz")

    with pytest.raises(InputError, match=re.escape(str(arrays))):
        read_student_record(path)


def test_an_array_is_missing(path):
    buffer = io.BytesIO()
    np.savez(buffer, energy=OLD.energy)
    replace_arrays(path, buffer.getvalue())

    with pytest.raises(InputError, match=r"not golden predictions.*names"):
        read_student_record(path)


def test_dying_between_the_two_files_leaves_the_old_golden_whole(path, monkeypatch):
    def die(path, text):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_text_atomically", die)
        with pytest.raises(KeyboardInterrupt):
            write(path, NEW)

    assert np.array_equal(read_student_record(path).predictions.energy, OLD.energy)


def test_dying_before_the_old_arrays_are_removed_leaves_the_new_golden_whole(path, monkeypatch):
    def die(self, missing_ok=False):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "unlink", die)
        with pytest.raises(KeyboardInterrupt):
            write(path, NEW)

    assert np.array_equal(read_student_record(path).predictions.energy, NEW.energy)
    assert len(list(path.parent.glob("*.npz"))) == 2  # the next acceptance removes the leftover
    write(path, NEW)
    assert len(list(path.parent.glob("*.npz"))) == 1


def test_old_arrays_that_another_process_removes_first_are_gone_all_the_same(path, monkeypatch):
    unlink = type(path).unlink

    def unlink_after_another(self, **options):
        unlink(self)
        unlink(self, **options)

    monkeypatch.setattr(type(path), "unlink", unlink_after_another)
    write(path, NEW)

    assert len(list(path.parent.glob("*.npz"))) == 1


def test_a_record_that_cannot_be_written_leaves_nothing_behind(path):
    before = sorted(path.parent.iterdir())
    entry = make_record(STRUCTURES, NEW).environments["cpu"]
    broken = entry.model_copy(update={"provenance": {"threads": object()}})

    with pytest.raises(ValueError, match="serialize"):
        write(path, NEW, environments={"cpu": broken})

    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("other", ["tiny-2", "tiny-abcdefabcdef", "ultra_tiny", "tiny-"])
def test_arrays_of_other_students_are_never_removed(path, other):
    neighbour = path.with_name(f"{other}.json")
    write(neighbour, subject=other)
    for mine, theirs in ((path, neighbour), (neighbour, path)):
        write(mine, NEW)
        write(mine, OLD)
        assert read_student_record(theirs) is not None


def test_old_arrays_are_removed_only_from_the_own_folder_and_name(path):
    keep = [path.with_name("tiny-notahash.npz"), path.with_name("other-0123456789ab.npz")]
    for file in keep:
        file.touch()

    write(path, NEW)

    assert all(file.exists() for file in keep)


def test_a_file_in_place_of_the_folder_is_an_input_error(tmp_path):
    (tmp_path / "records").touch()

    with pytest.raises(
        InputError, match=re.escape(f"{tmp_path / 'records'}: cannot be made a folder")
    ):
        write(tmp_path / "records" / "tiny.json")


def test_folders_are_made_as_deep_as_needed(tmp_path):
    path = tmp_path / "golden" / "records" / "tiny.json"
    write(path)
    assert path.is_file()


def test_a_data_set_record_is_written_and_read(tmp_path):
    path = tmp_path / "records" / "data.json"
    record = DatasetRecord(
        subject="data",
        fingerprint="sha256:" + "0" * 64,
        structures=3,
        kinds={"periodic": 1},
        typical={"forces_rms": 1.5},
        largest=5,
        elements={"H": ElementCount(atoms=4, structures=2)},
        provenance={"date": "2026-01-01"},
    )

    write_record(path, record)

    assert read_dataset_record(path) == record
    with pytest.raises(InputError, match="kind: Input should be 'student'"):
        read_student_record(path)
    assert '"H": {"atoms": 4, "structures": 2}' in path.read_text(encoding="utf-8")


def test_of_many_problems_the_first_are_told(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    document |= {f"key{i:02}": i for i in range(50)}
    path.write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(InputError, match=r"key00: .*; and 40 more$"):
        read_student_record(path)
