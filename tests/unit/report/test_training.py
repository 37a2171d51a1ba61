"""What checkpoints say of their training: read where it has our form, else nothing was said."""

import pytest

from mlffd.report.training import TrainingStatement

DATA = {"fingerprint": "sha256:1", "structures": 9000, "metadata": {"method": "GFN2-xTB"}}


def read(training: dict[str, object]) -> TrainingStatement:
    return TrainingStatement.model_validate(training)


def test_what_is_said_is_read():
    said = read(
        {
            "size": "tiny",
            "data": {"train": {**DATA, "file": "train.h5"}},
            "minutes": 12.5,
            "learning_curve": [{"number": 3, "loss": 0.1, "validation": {"forces_rmse": 0.2}}],
            "environment": {"device": "cpu", "versions": {"torch": "2.13.0"}},
        }
    )
    assert said.data is not None
    assert said.data["train"].structures == 9000
    assert said.data["train"].metadata == {"method": "GFN2-xTB"}
    assert said.minutes == 12.5
    assert said.learning_curve is not None
    assert said.learning_curve[0].validation == {"forces_rmse": 0.2}
    assert said.versions == {"torch": "2.13.0"}


@pytest.mark.parametrize(
    "training",
    [
        {"data": "qm9"},
        {"data": {"train": "qm9"}},
        {"data": {"train": {"fingerprint": 3, "structures": "many"}}},
        {"recipe": [1]},
        {"command": ["a", "b"]},
        {"environment": "here"},
        {"best_epoch": [1]},
        {"minutes": "long"},
        {"learning_curve": "abc"},
        {"learning_curve": [3]},
        {"learning_curve": [{"number": 1, "loss": 0.1, "validation": None}]},
        {"metrics": [1, 2]},
        {"metrics": {"x": {"forces_rmse": "big"}}},
    ],
)
def test_what_has_another_form_says_nothing(training):
    said = read(training)
    assert all(value is None for value in said.model_dump().values())
    assert said.sizes is None


def test_versions_of_another_form_are_none():
    assert read({"environment": {"versions": 3}}).versions == {}


def test_sizes_are_those_of_the_formulas():
    formulas = ["C2H6O", "H", "C60", "ClNa"]
    assert read({"data": {"train": {**DATA, "compositions": formulas}}}).sizes == (1, 60)


@pytest.mark.parametrize("formulas", [[], ["water"], ["H" + "9" * 5000], "H2O", [3]])
def test_sizes_that_nobody_states_are_unknown(formulas):
    said = read({"data": {"train": {**DATA, "compositions": formulas}}})
    assert said.sizes is None
    assert said.data is not None  # the rest is told nevertheless
