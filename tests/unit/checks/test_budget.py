"""Which budget an export has, from the settings."""

from pathlib import Path

import pytest

from mlffd.checks.budget import PrecisionBudget, budget_of
from mlffd.config import load_settings
from mlffd.errors import InputError

STUDENT = """
[students.small]
checkpoint = "small.pt"
dataset = "usual"
limits.nve_conservation.drift = 0.3
[datasets.usual]
path = "usual.h5"
[datasets.other]
path = "other.h5"
"""


def settings(folder: Path, text: str):
    (folder / "mlffd.toml").write_text(text, encoding="utf-8")
    return load_settings(folder / "mlffd.toml")


def test_what_settings_say_of_the_student_with_this_checkpoint(tmp_path):
    found = settings(tmp_path, STUDENT)
    budget = budget_of(tmp_path / "sub" / ".." / "small.pt", found)
    assert budget.dataset_path == tmp_path / "usual.h5"
    assert budget.dynamics == {"drift": 0.3}
    assert (budget.allowed.force_rmse, budget.allowed.energy_rmse) == (0.05, 0.05)


def test_another_checkpoint_has_no_data_set_and_usual_limits(tmp_path):
    assert budget_of(tmp_path / "other.pt", settings(tmp_path, STUDENT)) == PrecisionBudget()


def test_a_budget_of_exports_goes_before_the_student(tmp_path):
    text = (
        STUDENT + '[exports.budget]\nforce_rmse = 0.1\ndataset = "other"\nnve_picoseconds = 1.0\n'
    )
    found = settings(tmp_path, text)
    for name in ("small.pt", "unknown.pt"):
        budget = budget_of(tmp_path / name, found)
        assert budget.dataset_path == tmp_path / "other.h5"
        assert (budget.allowed.force_rmse, budget.allowed.nve_picoseconds) == (0.1, 1.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("force_rmse = -0.1", "exports.budget.force_rmse: Input should be greater than or equal"),
        ("force_rmse = inf", "exports.budget.force_rmse: Input should be a finite number"),
        ("force_rmse = '5%'", "exports.budget.force_rmse: Input should be a valid number"),
        ("nve_picoseconds = 0.01", "exports.budget.nve_picoseconds: Input should be greater"),
        (
            "dataset = 'gone'",
            "exports.budget.dataset: 'gone' is not under [datasets] (there: usual",
        ),
        (
            "forces = 1.0",
            "exports.budget.forces: unknown key; allowed here: dataset, energy_rmse, force_rmse,",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(tmp_path, line, message):
    with pytest.raises(InputError) as raised:
        settings(tmp_path, f"{STUDENT}[exports.budget]\n{line}\n")
    assert str(raised.value).startswith(f"{tmp_path / 'mlffd.toml'}: {message}")
