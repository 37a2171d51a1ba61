"""The model card: what it says, and that nobody can edit it or forget it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlffd.checkpoints import read_checkpoint, save_checkpoint
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.measuring import StudentAccuracy
from mlffd.golden.breakdown import break_down
from mlffd.golden.records import Predictions
from mlffd.golden.residuals import residuals
from mlffd.report.card import card_problems, model_card
from mlffd.report.limits import known_limits
from mlffd.report.markdown import code, plain_text, table
from mlffd.report.training import TrainingStatement
from mlffd.structures.structure import Structure
from mlffd.students import build
from mlffd.verdicts import Verdict

TRAINING = {
    "data": {
        "train": {
            "fingerprint": "sha256:" + "1" * 64,
            "structures": 9000,
            "compositions": ["C2H6O", "H", "C60"],
            "metadata": {"method": "GFN2-xTB", "energy_unit": "eV", "left_out": "x" * 501},
        },
    },
    "metrics": {"train": {"forces_rmse": 0.0123, "energy_mae_per_atom": 0.0456}},
    "recipe": {"epochs": 80, "learning_rate": 0.005},
    "command": "mlffd distill --data data",
    "best_epoch": 71,
    "minutes": 12.5,
    "learning_curve": [
        {"number": n, "loss": 1.0 / n, "validation": {"forces_rmse": 2.0 / n}} for n in range(1, 26)
    ],
}


@pytest.fixture(scope="module")
def make_checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(training=TRAINING, seed=0):
        torch.manual_seed(seed)
        config = {"hidden_dim": 8, "num_interactions": 2, "num_rbf": 4, "max_z": 20}
        path = folder / "student.pt"
        student = build("StudentForceField", {**config, "revision": 2})
        save_checkpoint(path, student, elements=[1, 6], training=training)
        return read_checkpoint(path)

    return make


def accuracy(*, worst="C", name="ethane/300K-{}".format, count=30):
    """On ethanes; the forces on one element are off."""
    numbers = np.array([6, 6, 1, 1, 1, 1, 1, 1])
    structures = [
        Structure(numbers, np.zeros((8, 3)), energy=0.0, forces=np.ones((8, 3)), name=name(i))
        for i in range(count)
    ]
    off = (numbers == {"C": 6, "H": 1}[worst])[:, None]
    predictions = Predictions.concatenate(
        [s.name for s in structures], [0.08] * count, [s.forces + 0.3 * off for s in structures]
    )
    found = residuals(structures, predictions)
    return StudentAccuracy("s", "sha256:w", "d.h5", "sha256:d", "GFN2-xTB", 8, break_down(found))


PHYSICS = [
    replace(judge([Criterion("drift", 0.25, 1.0, "meV/atom/ps")], "fine"), check="nve"),
    replace(judge([Criterion("torque", 3.0, 1.0, "eV")], "it turns"), check="net_torque"),
]


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint):
    return make_checkpoint()


def limits_of(checkpoint, measured, physics=()):
    training = TrainingStatement.model_validate(checkpoint.training)
    return "\n".join(known_limits(checkpoint, training, measured, physics))


@pytest.fixture(scope="module")
def text(checkpoint):
    return model_card("tiny", checkpoint, {"test": accuracy()}, PHYSICS)


@pytest.mark.parametrize(
    "line",
    [
        "# tiny",
        "| parameters | ",
        "| train | `sha256:" + "1" * 64 + "` | 9,000 |",
        "| method | `GFN2-xTB` |",
        "Recipe: epochs 80, learning_rate 0.005.",
        "Command: `mlffd distill --data data`",
        "Best epoch on validation: 71, in 12.5 minutes in all.",
        "| 25 | 0.04 | 0.08 |",
        "| train | 45.6 | 0.0123 |",
        "| energy MAE, meV/atom | 10 [10, 10] |",
        "| C | 30 | 0.3 [0.3, 0.3] | 0.3 [0.3, 0.3] | 0.91 [0.91, 0.91] |",
        "| 300 K | 30 |",
        "| ethane/300K-0 | 8 | +10 | 0.15 | 0.3 |",
        "| `nve` | pass | drift | 0.25 | 1 meV/atom/ps |",
        "- **net_torque: fail.** it turns",
        "- **Worst on atoms of C.** force RMSE",
        "- **Sizes.** Trained on structures of 1 to 60 atoms; its accuracy is known for up to 8",
    ],
)
def test_a_card_says(text, line):
    assert any(found.startswith(line) for found in text.splitlines()), text


def test_a_card_leaves_out_units_and_long_lists(text):
    assert "energy_unit" not in text
    assert "xxxx" not in text


def test_a_card_shows_a_few_epochs_and_the_last(text):
    epochs = [line for line in text.splitlines() if line.count("|") == 4 and line[2].isdigit()]

    assert len(epochs) == 8


def test_the_same_is_written_the_same(text, checkpoint):
    assert model_card("tiny", checkpoint, {"test": accuracy()}, PHYSICS) == text


def test_a_card_of_a_stranger_says_what_is_unknown(make_checkpoint):
    stranger = replace(make_checkpoint({}), elements=None)

    text = model_card("theirs", stranger, {"test": accuracy()}, [])

    assert "The checkpoint does not say." in text
    assert "Nobody says which elements" in text
    assert "Nobody says how large the structures were" in text


def test_an_up_to_date_card_has_no_problems(text, checkpoint):
    assert card_problems(text, checkpoint, {"test": "sha256:d"}) == []


def test_a_card_that_was_edited_is_noticed(text, checkpoint):
    for edited in (
        text.replace("9,000", "90,000"),
        text + "Best of all.\n",
        text[: text.index("<!--")],
        "",
    ):
        problems = card_problems(edited, checkpoint, {"test": "sha256:d"})
        assert problems == ["it was edited after it was generated"]


def test_a_card_of_other_weights_or_data_is_noticed(text, checkpoint, make_checkpoint):
    other = make_checkpoint(seed=1)

    (weights,) = card_problems(text, other, {"test": "sha256:d"})
    (data,) = card_problems(text, checkpoint, {"test": "sha256:e"})
    (more,) = card_problems(text, checkpoint, {"test": "sha256:d", "golden": "sha256:g"})

    assert other.fingerprint in weights
    assert "sha256:e" in data
    assert "golden" in more


def test_the_worst_element_is_the_one_that_errs(checkpoint):
    limits = limits_of(checkpoint, accuracy(worst="H"))

    assert "Worst on atoms of H" in limits
    assert "Worst on atoms of C" not in limits


def test_few_molecules_are_a_limit(checkpoint):
    many = limits_of(checkpoint, accuracy())
    few = limits_of(checkpoint, accuracy(count=5))

    assert "Few data" not in many
    assert "too few molecules with H, C to give" in few


def test_a_known_defect_is_a_limit_even_if_it_passes(checkpoint):
    known = Evidence(Verdict.PASS, "known defect", check="smooth_at_cutoff", noteworthy=True)

    assert "smooth_at_cutoff: pass" in limits_of(checkpoint, accuracy(), [known])


def test_text_of_others_is_only_text():
    nasty = "<script>x</script> | a\n# b [l](http://x) `c` __d__ file_name \x1b[2J"

    shown = plain_text(nasty)

    assert "\n" not in shown
    assert "\x1b" not in shown
    for mark in ("<script", "| a", "[l]", "`c`", "__d", "# b"):
        assert mark not in shown.replace("\\" + mark, "")
    assert "file_name" in shown
    assert code("a`b|c\nd") == "`a'b\\|c d`"


def test_numbers_are_aligned_to_the_right():
    assert table(["a", "b"], [["x", "1"]]).splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x | 1 |",
    ]
