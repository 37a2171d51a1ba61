"""The commands that make a student: what they write, and what they answer to bad input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlffd.checkpoints import load_checkpoint, read_checkpoint
from mlffd.distill.commands import distill, generate, label
from mlffd.distill.evaluation import evaluate
from mlffd.errors import InputError
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.structure import Structure

WATER = Structure(
    numbers=np.array([8, 1, 1]),
    positions=np.array([[0.0, 0.02, 0.1], [0.76, 0.59, 0.0], [-0.8, 0.55, 0.0]]),
    name="water",
)


def labelled(count: int, seed: int) -> list[Structure]:
    """Water rattled, with labels that are only numbers."""
    rng = np.random.default_rng(seed)
    return [
        replace(
            WATER.with_positions(WATER.positions + 0.05 * rng.normal(size=(3, 3))),
            name=f"water-{number}",
            energy=float(rng.normal()),
            forces=rng.normal(size=(3, 3)),
        )
        for number in range(count)
    ]


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Path]:
    paths = {}
    for seed, split in enumerate(("train", "validation", "test")):
        paths[split] = tmp_path / f"{split}.h5"
        write_dataset(paths[split], labelled(6, seed), metadata={"method": "none"})
    return paths


def test_distill_writes_a_checkpoint_that_says_how_it_was_made(data, tmp_path, capsys):
    target = tmp_path / "student.pt"
    distill(**data, output=target, epochs=2, seed=7)
    training = read_checkpoint(target).training
    assert training["recipe"]["seed"] == 7
    assert training["recipe"]["epochs"] == 2
    for split, path in data.items():
        with Dataset(path) as dataset:
            assert training["data"][split]["fingerprint"] == dataset.fingerprint
            metrics = evaluate(load_checkpoint(target), list(dataset))
        assert training["metrics"][split] == metrics
    assert "test: energy_mae_per_atom" in capsys.readouterr().out


def test_distill_twice_gives_the_same_weights(data, tmp_path):
    targets = [tmp_path / "first.pt", tmp_path / "second.pt"]
    for target in targets:
        distill(**data, output=target, epochs=1)
    first, second = (read_checkpoint(target).fingerprint for target in targets)
    assert first == second


def test_distill_refuses_data_without_labels(data, tmp_path):
    write_dataset(data["train"], [WATER], metadata={})
    with pytest.raises(InputError, match=r"train\.h5: water has no energy"):
        distill(**data, output=tmp_path / "student.pt", epochs=1)


def test_distill_refuses_a_size_that_there_is_not(data, tmp_path):
    with pytest.raises(InputError, match="size 'giant' is unknown"):
        distill(**data, output=tmp_path / "student.pt", size="giant", epochs=1)
    assert not (tmp_path / "student.pt").exists()


def test_distill_refuses_a_missing_file(data, tmp_path):
    data["validation"] = tmp_path / "absent.h5"
    with pytest.raises(InputError, match=r"absent\.h5"):
        distill(**data, output=tmp_path / "student.pt", epochs=1)


def test_generate_refuses_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="absent: expected an existing folder"):
        generate(tmp_path / "absent")


def test_label_leaves_out_what_cannot_be_labelled_and_says_so(tmp_path, capsys):
    pytest.importorskip("tblite", reason="labels need tblite")
    source, target = tmp_path / "in.h5", tmp_path / "out.h5"
    collapsed = WATER.with_positions(np.zeros((3, 3)), name="collapsed")
    write_dataset(source, [collapsed, WATER], metadata={"source": "a test"})
    label(source, target)
    assert "left out: collapsed: " in capsys.readouterr().err
    with Dataset(target) as dataset:
        assert [structure.name for structure in dataset] == ["water"]
        assert dataset.is_labelled
        assert dataset.metadata["method"] == "GFN2-xTB"
        assert dataset.metadata["source"] == "a test"


def test_label_writes_nothing_if_nothing_can_be_labelled(tmp_path):
    pytest.importorskip("tblite", reason="labels need tblite")
    source, target = tmp_path / "in.h5", tmp_path / "out.h5"
    write_dataset(source, [WATER.with_positions(np.zeros((3, 3)))], metadata={})
    with pytest.raises(InputError, match="no structure could be labelled"):
        label(source, target)
    assert not target.exists()
