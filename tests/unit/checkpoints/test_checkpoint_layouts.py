"""Every layout found in the wild gives the same weights, and says what was normalised."""

import pytest
import torch
from torch import nn

from mlffd.checkpoints.layouts import MOST_TENSORS, find_state_dict
from mlffd.errors import InputError


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


def assert_same(found, state):
    assert list(found.weights) == list(state)
    assert all(torch.equal(found.weights[key], state[key]) for key in state)


def test_plain_state_dict_needs_no_notes(state):
    found = find_state_dict(state, "f.pt")
    assert_same(found, state)
    assert (found.layout, found.notes, found.config, found.metadata) == ("plain", (), None, {})


@pytest.mark.parametrize("key", ["model_state_dict", "state_dict", "model", "ema"])
def test_state_dict_under_a_known_key(state, key):
    found = find_state_dict({key: state, "epoch": 3, "config": {"num_rbf": 4}}, "f.pt")
    assert_same(found, state)
    assert found.layout == key
    assert found.config == {"num_rbf": 4}
    assert found.metadata == {"epoch": 3}
    assert found.notes == (f"weights taken from {key!r}",)


@pytest.mark.parametrize(
    ("prefix", "stripped"),
    [
        ("model.", ["model."]),
        ("module.", ["module."]),
        ("_orig_mod.", ["_orig_mod."]),
        ("module._orig_mod.", ["module.", "_orig_mod."]),
        ("_orig_mod.module.model.", ["_orig_mod.", "module.", "model."]),
        ("module.module.", ["module.", "module."]),
    ],
)
def test_prefixes_are_stripped_from_the_outside_inwards_and_reported(state, prefix, stripped):
    found = find_state_dict(prefixed(state, prefix), "f.pt")
    assert_same(found, state)
    assert found.notes == tuple(
        f"prefix {one!r} removed from all {len(state)} names" for one in stripped
    )


def test_a_prefix_inside_a_name_stays():
    inside = {"head.model.weight": torch.ones(1), "head.module._orig_mod.bias": torch.ones(1)}
    assert list(find_state_dict(inside, "f.pt").weights) == list(inside)
    found = find_state_dict(prefixed(inside, "model."), "f.pt")
    assert list(found.weights) == list(inside)


def test_a_name_that_only_begins_like_a_prefix_stays():
    weights = {"models.weight": torch.ones(1), "modules": torch.ones(1)}
    assert list(find_state_dict(weights, "f.pt").weights) == list(weights)


def test_mixed_prefixes_are_refused(state):
    mixed = {**state, "model.extra": torch.ones(1)}
    with pytest.raises(InputError, match=r"f\.pt: mixed prefixes: 'model\.extra' .*embedding"):
        find_state_dict(mixed, "f.pt")


def test_names_that_collide_after_stripping_are_refused(state):
    both = {**state, "model.embedding.weight": torch.ones(1)}
    both["model.energy_head.0.bias"] = torch.ones(1)  # the first one is named
    with pytest.raises(InputError, match=r"would both be 'embedding\.weight'"):
        find_state_dict(both, "f.pt")


def test_real_averaged_model(make_student):
    student = make_student(1)
    averaged = torch.optim.swa_utils.AveragedModel(student)
    averaged.update_parameters(student)
    averaged.update_parameters(student)
    found = find_state_dict(dict(averaged.state_dict()), "f.pt")
    assert_same(found, student.state_dict())
    assert found.notes[0] == "the weights are an average over 2 models (AveragedModel)"


@pytest.mark.parametrize(
    "count", [torch.tensor([2, 2]), torch.tensor(2.0), torch.empty((), device="meta").long()]
)
def test_something_else_called_n_averaged_is_refused(state, count):
    with pytest.raises(InputError, match="n_averaged"):
        find_state_dict({**prefixed(state, "module."), "n_averaged": count}, "f.pt")


def test_real_data_parallel_model(make_student):
    student = make_student(1)
    assert_same(
        find_state_dict(dict(nn.DataParallel(student).state_dict()), "f.pt"), student.state_dict()
    )


def test_lightning_checkpoint(state):
    payload = {
        "epoch": 9,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": prefixed(state, "model."),
        "loops": {},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}],
        "hyper_parameters": {"lr": 1e-3},
    }
    found = find_state_dict(payload, "f.pt")
    assert_same(found, state)
    assert found.layout == "lightning"
    assert found.metadata["epoch"] == 9


def test_optimizer_loss_and_random_state_beside_the_weights_are_no_rivals(state):
    payload = {
        "model_state_dict": state,
        "optimizer_state_dict": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": []},
        "loss": torch.tensor(0.5),
        "torch_rng_state": torch.zeros(8, dtype=torch.uint8),
    }
    assert_same(find_state_dict(payload, "f.pt"), state)


def test_settings_under_model_are_no_rival(state):
    payload = {"state_dict": state, "model": {"hidden": 8}}
    assert_same(find_state_dict(payload, "f.pt"), state)


# Ambiguity


@pytest.mark.parametrize("other", ["ema", "model", "state_dict", "ema_weights"])
def test_raw_and_other_weights_are_ambiguous(state, other):
    moved = {key: value + 1 for key, value in state.items()}
    payload = {"model_state_dict": state, other: moved}
    with pytest.raises(InputError, match=f"'model_state_dict'.*'{other}'|'{other}'.*'model_state"):
        find_state_dict(payload, "f.pt")
    assert_same(find_state_dict(payload, "f.pt", weights=other), moved)
    assert_same(find_state_dict(payload, "f.pt", weights="model_state_dict"), state)


def test_the_same_weights_twice_are_not_ambiguous(state):
    copy = {"module." + key: value.clone() for key, value in state.items()}
    found = find_state_dict({"ema": copy, "model_state_dict": state}, "f.pt")
    assert_same(found, state)
    assert "'ema', 'model_state_dict' hold the same weights" in found.notes
    assert found.layout == "model_state_dict"


def test_weights_with_something_else_among_them_are_a_rival_under_a_known_key_only(state):
    """A writer that put the epoch among the weights of `model` may have meant those."""
    odd = {**state, "epoch": 3}
    with pytest.raises(InputError, match="cannot tell which are the weights: found"):
        find_state_dict({"model_state_dict": state, "model": odd}, "f.pt")
    found = find_state_dict({"model_state_dict": state, "statistics": odd}, "f.pt")
    assert_same(found, state)


def test_rivals_without_a_fingerprint_cannot_be_told_from_each_other(state):
    halves = {key: value.bfloat16() for key, value in state.items()}
    with pytest.raises(InputError, match="cannot tell which are the weights"):
        find_state_dict({"model": halves, "ema": dict(halves)}, "f.pt")


def test_ten_thousand_weights_are_not_too_many():
    many = {str(i): torch.ones(()) for i in range(MOST_TENSORS)}
    assert len(find_state_dict(many, "f.pt").weights) == 10_000


def test_weights_beside_a_state_dict_are_ambiguous(state):
    with pytest.raises(InputError, match="cannot tell"):
        find_state_dict({**state, "ema": state}, "f.pt")


def test_weights_under_an_unknown_key_must_be_chosen_by_name(state):
    with pytest.raises(InputError, match="cannot tell which are the weights: found 'net'"):
        find_state_dict({"net": state}, "f.pt")
    assert_same(find_state_dict({"net": state}, "f.pt", weights="net"), state)


@pytest.mark.parametrize("payload", [{"w": torch.ones(1)}, {"model": {"w": torch.ones(1)}}])
def test_choosing_weights_that_are_not_there(payload):
    with pytest.raises(InputError, match=r"no weights under 'ema'; found: ('model'|none)"):
        find_state_dict(payload, "f.pt", weights="ema")


# No weights


@pytest.mark.parametrize(
    ("loaded", "message"),
    [
        pytest.param(None, "holds nothing", id="none"),
        pytest.param([torch.ones(1)], "holds a list", id="list"),
        pytest.param(torch.ones(1), "holds a Tensor", id="tensor"),
        pytest.param({}, "an empty dict", id="empty"),
        pytest.param({"epoch": 3}, "no weights, found 'epoch'", id="no-weights"),
        pytest.param(
            {"state": {0: {"exp_avg": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]},
            "no weights, found 'state', 'param_groups'",
            id="optimizer",
        ),
        pytest.param(
            {"optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}}}, "no weights", id="nested"
        ),
        pytest.param({"model_state_dict": {}}, "the state dict is empty", id="empty-state"),
        pytest.param({"model_state_dict": None}, "no weights", id="none-state"),
        pytest.param({"n_averaged": torch.tensor(1)}, "n_averaged", id="only-a-count"),
        pytest.param({1: torch.ones(1)}, "a key is <int>", id="integer-key"),
        pytest.param({"model": {1: torch.ones(1)}}, "name is <int>", id="integer-name"),
        pytest.param(
            {"w": torch.ones(1), "epoch": 3}, "'epoch' in the state dict is a int", id="mixed"
        ),
        pytest.param(
            {"model": {"w": torch.ones(1), "b": [1.0]}},
            "'b' in the state dict is a list",
            id="list-in",
        ),
        pytest.param(
            {"model": {"w": torch.ones(1)}, "config": [1]}, "config is a list", id="config"
        ),
        pytest.param(
            {"model": {"w": torch.ones(1)}, "config": {"a": torch.ones(1)}},
            "config.*is a Tensor",
            id="tensor-in-config",
        ),
        pytest.param(
            {str(i): torch.ones(()) for i in range(MOST_TENSORS + 1)},
            "10001 weights",
            id="too-many",
        ),
    ],
)
def test_what_holds_no_weights_is_refused(loaded, message):
    with pytest.raises(InputError, match=rf"f\.pt: .*{message}|f\.pt: {message}"):
        find_state_dict(loaded, "f.pt")


def test_config_that_would_take_for_ever_to_print_is_refused(state):
    bomb: list[object] = []
    for _ in range(60):
        bomb = [bomb, bomb]
    with pytest.raises(InputError, match="config: too large"):
        find_state_dict({"model": state, "config": {"hidden_dim": bomb}}, "f.pt")
