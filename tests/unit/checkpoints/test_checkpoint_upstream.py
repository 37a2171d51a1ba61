"""The real trained students load as what they are."""

import pytest

from mlffd.checkpoints import load_checkpoint, read_checkpoint

STRIPPED = "prefix 'model.' removed from all 27 names"
INFERRED = "config inferred from shapes (StudentForceField)"
LEGACY = "config states no revision: taken as revision 1, the legacy function"


@pytest.mark.parametrize(
    ("name", "hidden", "interactions", "rbf", "parameters", "notes"),
    [
        ("original", 128, 3, 20, 427_292, {LEGACY}),
        ("tiny", 64, 2, 12, 77_203, {STRIPPED, INFERRED}),
        ("ultra_tiny", 32, 2, 10, 21_459, {STRIPPED, INFERRED}),
    ],
)
def test_legacy_students(upstream, name, hidden, interactions, rbf, parameters, notes):
    checkpoint = read_checkpoint(upstream / f"{name}.pt")
    assert checkpoint.parameter_count == parameters
    assert checkpoint.config == {
        "hidden_dim": hidden,
        "num_interactions": interactions,
        "num_rbf": rbf,
        "cutoff": 5.0,
        "max_z": 100,
        "revision": 1,
    }
    assert checkpoint.layout == "model_state_dict"
    assert set(checkpoint.notes) == {"weights taken from 'model_state_dict'", *notes}
    assert checkpoint.declared_parameters == (parameters if name == "original" else None)
    assert load_checkpoint(upstream / f"{name}.pt").parameter_count == parameters


@pytest.mark.parametrize("name", ["original", "tiny", "ultra_tiny"])
def test_elements_of_legacy_students_are_read_off_their_embeddings(upstream, name):
    checkpoint = read_checkpoint(upstream / f"{name}.pt")
    assert checkpoint.elements_source == "inferred from weights"
    assert checkpoint.elements is not None
    assert {1, 6, 7, 8, 9, 15, 16, 17} <= checkpoint.elements
    assert 35 not in checkpoint.elements
    assert len(checkpoint.elements) < 10
