"""What a checkpoint says it is must be exactly what its weights are."""

import math
import warnings

import pytest
import torch

from mlffd.checkpoints import checkpoint, load_checkpoint, read_checkpoint, save_checkpoint
from mlffd.checkpoints.validation import check_radial_basis
from mlffd.errors import InputError

CONFIG = {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4, "cutoff": 5.0, "max_z": 20}


def atomic_energies(student, dtype=torch.float32):
    numbers = torch.tensor([6, 1, 8])
    vectors = torch.tensor([[1.0, 0.2, 0.1], [-1.0, 0.3, 0.4], [0.2, 1.1, -0.5]], dtype=dtype)
    edge_index = torch.tensor([[1, 2, 0], [0, 0, 1]])
    return student.atomic_energies(numbers, vectors, edge_index)


def own(tmp_path, student):
    """What is in a file of our own format."""
    save_checkpoint(tmp_path / "own.pt", student, elements=[1, 6], training={"seed": 1})
    return torch.load(tmp_path / "own.pt", weights_only=True)


@pytest.mark.parametrize("revision", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loaded_student_is_the_one_that_was_saved(make_student, save, revision, dtype):
    student = make_student(revision)
    loaded = load_checkpoint(save(dict(student.state_dict())), dtype=dtype)
    assert torch.equal(atomic_energies(loaded, dtype), atomic_energies(student.to(dtype), dtype))
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert loaded.revision == revision


def test_each_student_has_its_own_weights(save, state):
    checkpoint = read_checkpoint(save(state))
    first = checkpoint.student()
    first.get_parameter("embedding.weight").fill_(0.0)
    assert torch.equal(checkpoint.weights["embedding.weight"], state["embedding.weight"])
    assert torch.equal(
        checkpoint.student().state_dict()["embedding.weight"], state["embedding.weight"]
    )


@pytest.mark.parametrize("revision", [1, 2])
def test_config_is_inferred_from_shapes(make_student, save, revision):
    checkpoint = read_checkpoint(save(dict(make_student(revision).state_dict())))
    assert checkpoint.architecture == "StudentForceField"
    assert checkpoint.config == {**CONFIG, "revision": revision}
    assert checkpoint.revision == revision
    assert "config inferred from shapes (StudentForceField)" in checkpoint.notes


def test_buffers_are_not_counted_as_parameters(make_student, save):
    student = make_student(2)
    checkpoint = read_checkpoint(save(dict(student.state_dict())))
    buffers = sum(buffer.numel() for buffer in student.buffers())
    values = sum(weight.numel() for weight in checkpoint.weights.values())
    assert checkpoint.parameter_count == student.parameter_count == values - buffers


def test_every_layout_has_the_same_weights_in_the_same_order(save, state):
    plain = read_checkpoint(save(state))
    backwards = {f"model.{key}": state[key] for key in reversed(state)}
    other = read_checkpoint(save({"state_dict": backwards}))
    assert list(other.weights) == list(plain.weights) == list(state)
    assert other.fingerprint == plain.fingerprint
    assert plain.layout == "plain"
    assert other.layout == "state_dict"


def test_reading_leaves_random_numbers_and_the_default_dtype_alone(save, state):
    path = save(state)
    torch.set_default_dtype(torch.float64)
    try:
        before = torch.get_rng_state()
        student = load_checkpoint(path)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_default_dtype() == torch.float64
        assert student.get_parameter("embedding.weight").dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


# Config


def test_legacy_config_without_revision_is_revision_1(save, state):
    checkpoint = read_checkpoint(save({"model_state_dict": state, "config": CONFIG}))
    assert checkpoint.revision == 1
    assert any("taken as revision 1" in note for note in checkpoint.notes)


def test_config_without_revision_beside_reference_energies_is_ambiguous(make_student, save):
    payload = {"model_state_dict": dict(make_student(2).state_dict()), "config": CONFIG}
    with pytest.raises(InputError, match="config: missing key 'revision'"):
        read_checkpoint(save(payload))
    payload["config"] = {**CONFIG, "revision": 2}
    assert read_checkpoint(save(payload)).revision == 2


@pytest.mark.parametrize(
    ("has", "states", "message"),
    [(1, 2, "missing: 'reference_energies'"), (2, 1, "not expected: 'reference_energies'")],
)
def test_stated_revision_must_fit_the_weights(make_student, save, has, states, message):
    payload = {
        "model_state_dict": dict(make_student(has).state_dict()),
        "config": {**CONFIG, "revision": states},
    }
    with pytest.raises(InputError, match=message):
        read_checkpoint(save(payload))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_dim", 16),
        ("hidden_dim", 10**15),  # would need more memory than there is, if it were built
        ("num_interactions", 10**15),
        ("num_rbf", 5),
        ("max_z", 100),
        ("cutoff", 6.0),
        ("hidden_dim", "8"),
    ],
)
def test_config_that_disagrees_with_the_weights(save, state, key, value):
    payload = {"model_state_dict": state, "config": {**CONFIG, key: value}}
    with pytest.raises(InputError, match=rf"checkpoint\.pt: config: {key} is .*the weights say"):
        read_checkpoint(save(payload))


def test_config_that_leaves_something_out_is_completed_from_the_weights(save, state):
    config = {key: CONFIG[key] for key in ("hidden_dim", "num_interactions", "num_rbf")}
    checkpoint = read_checkpoint(save({"model": state, "config": config}))
    assert checkpoint.config == {**CONFIG, "revision": 1}
    assert "config states no max_z: 20 inferred from the weights" in checkpoint.notes


def test_unknown_config_key(save, state):
    with pytest.raises(InputError, match=r"checkpoint\.pt: .*unknown keys \['dropout'\]"):
        read_checkpoint(save({"model": state, "config": {**CONFIG, "dropout": 0}}))


@pytest.mark.parametrize("name", ["rbf.centers", "rbf.widths"])
def test_radial_basis_that_is_not_the_cutoffs(save, state, name):
    moved = state[name].clone()
    moved[1] += 1e-3
    with pytest.raises(InputError, match=f"{name} is up to 0.001 Å away from what cutoff 5.0"):
        read_checkpoint(save({**state, name: moved}))


@pytest.mark.parametrize(("off", "agrees"), [(0.9e-6, True), (1.1e-6, False)])
@pytest.mark.parametrize("cutoff", [0.5, 5.0])
def test_numbers_of_a_config_and_of_weights_agree_within_a_millionth(off, agrees, cutoff):
    assert checkpoint._agree(cutoff * (1 + off), cutoff) is agrees
    assert checkpoint._agree(cutoff * (1 - off), cutoff) is agrees
    weights = {"rbf.centers": torch.linspace(0, cutoff, 4, dtype=torch.float64)}
    weights["rbf.centers"][1] += off * cutoff
    if agrees:
        check_radial_basis(weights, cutoff, "f.pt")
    else:
        with pytest.raises(InputError, match=r"rbf\.centers is up to"):
            check_radial_basis(weights, cutoff, "f.pt")


def test_radial_basis_of_another_cutoff_whose_last_center_was_edited(save, state):
    centers = torch.linspace(0.0, 4.0, 4)
    centers[-1] = 5.0
    with pytest.raises(InputError, match=r"rbf\.centers"):
        read_checkpoint(save({**state, "rbf.centers": centers}))


# Names and shapes


def test_missing_and_extra_names_are_all_listed(save, state):
    del state["energy_head.4.bias"]
    state["energy_head.6.bias"] = torch.ones(1)
    with pytest.raises(
        InputError, match=r"missing: 'energy_head\.4\.bias'; not expected: 'energy_head\.6\.bias'"
    ):
        read_checkpoint(save(state))


def test_weights_of_another_architecture(save):
    with pytest.raises(InputError, match=r"checkpoint\.pt: .*fit none of"):
        read_checkpoint(save(dict(torch.nn.Linear(2, 1).state_dict())))


def test_own_weights_that_are_of_no_student(tmp_path, make_student, save):
    save_checkpoint(tmp_path / "own.pt", make_student(2), elements=[1], training={})
    payload = torch.load(tmp_path / "own.pt", weights_only=True)
    payload["model_state_dict"] = {"w": torch.ones(2)}
    with pytest.raises(InputError, match=r"checkpoint\.pt: names and shapes .* do not fit Student"):
        read_checkpoint(save(payload))


def test_wrong_shape(save, state):
    state["energy_head.2.weight"] = torch.zeros(4, 2)
    with pytest.raises(
        InputError, match=r"energy_head\.2\.weight has shape \[4, 2\], expected \[2, 4\]"
    ):
        read_checkpoint(save(state))


@pytest.mark.parametrize("shape", [(), (1, 1)])
def test_shapes_that_torch_would_broadcast_are_refused(save, state, shape):
    state["energy_head.4.bias"] = torch.zeros(shape)
    with pytest.raises(InputError, match=r"energy_head\.4\.bias has shape .* expected \[1\]"):
        read_checkpoint(save(state))


@pytest.mark.parametrize("shape", [(0, 8), (0, 10**9), (21, 0), (8,)])
def test_embedding_of_a_hostile_shape(save, state, shape):
    state["embedding.weight"] = torch.zeros(shape)
    with pytest.raises(InputError):
        read_checkpoint(save(state))


# Values


def quantized(tensor):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is retiring quantized tensors, files have them
        return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda t: t.half(), "float16"),
        (lambda t: t.bfloat16(), "bfloat16"),
        (lambda t: t.long(), "int64"),
        (lambda t: t.bool(), "bool"),
        (lambda t: t.to(torch.complex64), "complex64"),
        (lambda t: t.to("meta"), "a meta tensor"),
        (lambda t: t.to_sparse(), "sparse"),
        (quantized, "quantized"),
    ],
)
@pytest.mark.parametrize("name", ["energy_head.0.weight", "rbf.centers"])
def test_other_kinds_of_values_are_refused(save, state, name, change, kind):
    state[name] = change(state[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch says about quantized tensors
        path = save(state)
        with pytest.raises(InputError, match=f"'{name}' is {kind}.*expected dense float32"):
            read_checkpoint(path)


def test_float64_weights_are_kept_exactly_and_noted(make_student, save):
    student = make_student(2).double()
    with torch.no_grad():
        student.get_parameter("embedding.weight")[6] += 1e-12
    checkpoint = read_checkpoint(save(dict(student.state_dict())))
    assert "weights are float64" in checkpoint.notes
    again = checkpoint.student(dtype=torch.float64).state_dict()
    assert all(torch.equal(again[key], value) for key, value in student.state_dict().items())
    assert checkpoint.student().get_parameter("embedding.weight").dtype == torch.float32


def test_float32_and_float64_mixed_are_refused(save, state):
    state["energy_head.0.weight"] = state["energy_head.0.weight"].double()
    message = r"energy_head\.0\.weight is float64 but (?!energy_head\.0\.weight).* is float32"
    with pytest.raises(InputError, match=message):
        read_checkpoint(save(state))


def test_rounded_reference_energies_are_refused(make_student, save):
    weights = dict(make_student(2).state_dict())
    weights["reference_energies"] = weights["reference_energies"].float()
    with pytest.raises(InputError, match="reference_energies is float32, expected float64"):
        read_checkpoint(save(weights))


def test_reference_energies_survive_a_float32_student(make_student, save):
    loaded = load_checkpoint(save(dict(make_student(2).state_dict())))
    assert loaded.get_buffer("reference_energies")[6].item() == -1035.123456789012


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_counted_by_name(save, state, value):
    state["energy_head.0.weight"].view(-1)[:3] = value
    path = save(state)
    with pytest.raises(InputError, match=r"in 1 of \d+ weights: 'energy_head\.0\.weight' \(3\)"):
        read_checkpoint(path)
    checkpoint = read_checkpoint(path, require_finite=False)
    assert checkpoint.non_finite() == {"energy_head.0.weight": 3}


def test_sound_weights_have_nothing_to_report(save, state):
    assert read_checkpoint(save(state)).non_finite() == {}


@pytest.mark.parametrize("name", ["rbf.centers", "rbf.widths"])
def test_radial_basis_of_nan_is_refused_in_any_case(save, state, name):
    state[name][-1] = math.nan
    with pytest.raises(InputError):
        read_checkpoint(save(state), require_finite=False)


# Elements and provenance


def test_elements_are_inferred_from_rows_that_training_has_moved(save, state):
    state["embedding.weight"][[1, 6]] *= 1.01
    checkpoint = read_checkpoint(save(state))
    assert checkpoint.elements == {1, 6}
    assert checkpoint.elements_source == "inferred from weights"


def test_elements_are_unknown_where_the_weights_do_not_tell(save, state):
    state["embedding.weight"] = torch.randn(21, 8)
    checkpoint = read_checkpoint(save(state))
    assert checkpoint.elements is None
    assert checkpoint.elements_source == "unknown"


def test_provenance_of_other_files_is_their_plain_scalars(save, state):
    payload = {
        "model_state_dict": state,
        "epoch": 7,
        "val_loss": 0.25,
        "best": math.inf,
        "commit": "abc",
        "history": [1.0],
        "loss": torch.tensor(1.0),
        "num_parameters": 12,
    }
    checkpoint = read_checkpoint(save(payload))
    assert checkpoint.training == {"epoch": 7, "val_loss": 0.25, "commit": "abc"}
    assert checkpoint.declared_parameters == 12
    assert any(note.startswith("the file states 12 parameters") for note in checkpoint.notes)


@pytest.mark.parametrize("declared", ["427,292", True, 10**30, [1]])
def test_parameter_count_that_is_no_number_is_ignored_with_a_note(save, state, declared):
    checkpoint = read_checkpoint(save({"model": state, "num_parameters": declared}))
    assert checkpoint.declared_parameters is None
    assert "num_parameters is not an integer: ignored" in checkpoint.notes


# Our own format


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", 2, "the file is newer: update mlffd"),
        ("format_version", "1", "format_version: expected an integer"),
        ("format_version", True, "format_version: expected an integer"),
        ("architecture", "Transformer", "architecture 'Transformer' is unknown"),
        ("architecture", ["x"], "architecture <list> is unknown"),
        ("fingerprint", "sha256:00", "one of them was changed"),
        ("elements", [0], "elements: expected distinct atomic numbers"),
        ("elements", [1, 1], "elements: expected distinct atomic numbers"),
        ("elements", [True], "elements: expected distinct atomic numbers"),
        ("elements", None, "elements: expected distinct atomic numbers"),
        ("training", [1], "training: expected a dict"),
        ("training", {"a": math.nan}, r"training\['a'\]: is nan"),
        ("training", {"a": torch.ones(1)}, r"training\['a'\]: is a Tensor"),
        ("config", None, "missing key 'config'"),
    ],
)
def test_faults_in_the_header(tmp_path, make_student, save, key, value, message):
    payload = own(tmp_path, make_student(2))
    read_checkpoint(save(payload))
    with pytest.raises(InputError, match=message):
        read_checkpoint(save({**payload, key: value}))


@pytest.mark.parametrize(
    "key", ["format_version", "architecture", "config", "fingerprint", "elements", "training"]
)
def test_missing_keys_of_the_header(tmp_path, make_student, save, key):
    payload = own(tmp_path, make_student(2))
    del payload[key]
    with pytest.raises(InputError, match=key):
        read_checkpoint(save(payload))


def test_own_format_must_state_its_revision(tmp_path, make_student, save):
    payload = own(tmp_path, make_student(1))
    del payload["config"]["revision"]
    with pytest.raises(InputError, match="missing key 'revision'"):
        read_checkpoint(save(payload))


@pytest.mark.parametrize("change", [1e-6, -1.0])
def test_weights_that_were_edited_do_not_match_the_fingerprint(
    tmp_path, make_student, save, change
):
    payload = own(tmp_path, make_student(2))
    payload["model_state_dict"]["energy_head.4.bias"] += change
    with pytest.raises(InputError, match="one of them was changed"):
        read_checkpoint(save(payload))
