"""What is written comes back exactly; what would not, is not written."""

import math

import pytest
import torch

from mlffd.checkpoints import fingerprint, load_checkpoint, read_checkpoint, save_checkpoint
from mlffd.checkpoints.writing import check_elements
from mlffd.errors import InputError

TRAINING = {"seed": 3, "data": {"path": "train.h5", "sizes": [100, 10]}, "done": True, "lr": 1e-3}


@pytest.mark.parametrize("revision", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_is_exact(tmp_path, make_student, revision, dtype):
    student = make_student(revision).to(dtype)
    path = tmp_path / "student.pt"
    stated = save_checkpoint(path, student, elements=(8, 1, 6), training=TRAINING)
    checkpoint = read_checkpoint(path)
    assert checkpoint.fingerprint == stated == fingerprint(student.state_dict())
    assert checkpoint.config == student.config
    assert checkpoint.training == TRAINING
    assert (checkpoint.elements, checkpoint.elements_source) == ({1, 6, 8}, "stated")
    assert checkpoint.declared_parameters == checkpoint.parameter_count == student.parameter_count
    loaded = load_checkpoint(path, dtype=dtype).state_dict()
    assert list(loaded) == list(student.state_dict())
    for name, weight in student.state_dict().items():
        assert loaded[name].dtype == weight.dtype
        assert torch.equal(loaded[name], weight)


def test_a_checkpoint_saved_again_is_the_same_file(tmp_path, make_student):
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    save_checkpoint(first, make_student(2), elements=[1], training=TRAINING)
    save_checkpoint(second, load_checkpoint(first), elements=[1], training=TRAINING)
    assert first.read_bytes() == second.read_bytes()


def test_the_file_holds_the_documented_keys_and_needs_no_code_to_load(tmp_path, make_student):
    path = tmp_path / "student.pt"
    save_checkpoint(path, make_student(2), elements=[6, 1], training={})
    payload = torch.load(path, weights_only=True)
    assert set(payload) == {
        "format",
        "format_version",
        "architecture",
        "config",
        "model_state_dict",
        "fingerprint",
        "elements",
        "num_parameters",
        "training",
    }
    assert (payload["format"], payload["format_version"]) == ("mlffd-checkpoint", 1)
    assert payload["config"]["revision"] == 2
    assert payload["elements"] == [1, 6]
    assert type(payload["model_state_dict"]) is dict


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_not_written_and_the_old_file_stays(
    tmp_path, make_student, value
):
    path = tmp_path / "student.pt"
    student = make_student(2)
    save_checkpoint(path, student, elements=[1], training={})
    before = path.read_bytes()
    with torch.no_grad():
        student.get_parameter("energy_head.4.bias").fill_(value)
    with pytest.raises(InputError, match=r"energy_head\.4\.bias"):
        save_checkpoint(path, student, elements=[1], training={})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_while_writing_leaves_the_old_file_alone(tmp_path, make_student, monkeypatch):
    path = tmp_path / "student.pt"
    save_checkpoint(path, make_student(2), elements=[1], training={})
    before = path.read_bytes()

    def break_off(payload, stream):
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", break_off)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, make_student(1), elements=[1], training={})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_half_precision_students_are_not_written(tmp_path, make_student):
    with pytest.raises(InputError, match="is float16, expected dense float32"):
        save_checkpoint(tmp_path / "s.pt", make_student(1).half(), elements=[1], training={})


@pytest.mark.parametrize(
    "value", [math.nan, (1, 2), {1}, torch.ones(1), object(), {1: 2}, 2**70, [[math.inf]]]
)
def test_provenance_that_is_not_plain_is_not_written(tmp_path, make_student, value):
    with pytest.raises(InputError, match=r"s\.pt: training"):
        save_checkpoint(
            tmp_path / "s.pt", make_student(1), elements=[1], training={"deep": {"key": value}}
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("elements", [[], [0], [119], [1, 1], [6.0], ["C"], [True]])
def test_elements_must_be_atomic_numbers(tmp_path, make_student, elements):
    with pytest.raises(InputError, match="expected distinct atomic numbers"):
        save_checkpoint(tmp_path / "s.pt", make_student(1), elements=elements, training={})


def test_folder_that_does_not_exist(tmp_path, make_student):
    with pytest.raises(InputError, match="cannot write here"):
        save_checkpoint(tmp_path / "no" / "s.pt", make_student(1), elements=[1], training={})


def test_every_element_is_one_up_to_the_last():
    assert check_elements([118, 1], "f.pt") == [1, 118]
    for wrong in ([0, 1], [119], [1, 1], [], [True], (1,)):
        with pytest.raises(InputError, match="expected distinct atomic numbers from 1 to 118"):
            check_elements(wrong, "f.pt")
