"""The model cards in the documentation are those of the students and data that are shipped."""

from pathlib import Path

import pytest

from mlffd.checkpoints import read_checkpoint
from mlffd.config import load_settings
from mlffd.report.card import card_problems
from mlffd.structures.dataset import Dataset

ROOT = Path(__file__).parents[3]
SETTINGS = load_settings(ROOT / "mlffd.toml")


@pytest.fixture(scope="module")
def data_fingerprints() -> dict[str, str]:
    found = {}
    for name, settings in SETTINGS.datasets.items():
        with Dataset(settings.path) as dataset:
            found[name] = dataset.fingerprint
    return found


@pytest.mark.parametrize("name", SETTINGS.students)
def test_the_card_is_up_to_date(name: str, data_fingerprints: dict[str, str]) -> None:
    """If it is not: ``mlffd card NAME -o docs/models/NAME.md``."""
    text = (ROOT / "docs" / "models" / f"{name}.md").read_text(encoding="utf-8")
    checkpoint = read_checkpoint(SETTINGS.students[name].checkpoint)

    assert card_problems(text, checkpoint, data_fingerprints) == []


def test_every_card_is_of_a_shipped_student() -> None:
    cards = {path.stem for path in (ROOT / "docs" / "models").glob("*.md")}

    assert cards == set(SETTINGS.students)
