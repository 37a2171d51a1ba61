"""What a shipped checkpoint says about how it was made, and what stops it from being made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_samples import CELLS, TRAIN, VALIDATION, short, spring_cluster

from mlffd.checkpoints import load_checkpoint, read_checkpoint
from mlffd.distill.run_folder import RunFolder
from mlffd.distill.shipping import distill_checkpoint, evaluate, find_data
from mlffd.errors import InputError
from mlffd.structures.composition import compositions
from mlffd.structures.dataset import Dataset, write_dataset

SETS = {
    "train": TRAIN + CELLS,
    "validation": VALIDATION,
    "test": [spring_cluster(seed) for seed in range(300, 306)],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, structures in SETS.items():
        write_dataset(tmp_path / f"{name}.h5", structures, metadata={"method": "springs"})
    return tmp_path


def test_the_data_sets_of_a_folder_are_found_by_name(folder):
    assert find_data(folder) == {name: folder / f"{name}.h5" for name in SETS}


def test_data_that_training_needs_are_missed(folder):
    (folder / "validation.h5").unlink()
    with pytest.raises(InputError, match=r"validation\.h5: not found"):
        find_data(folder)
    with pytest.raises(InputError, match=r"absent: expected a folder with train\.h5"):
        find_data(folder / "absent")


def test_a_checkpoint_says_how_it_was_made(folder):
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    target = folder / "student.pt"
    shipped = distill_checkpoint(
        find_data(folder),
        target,
        size="ultra_tiny",
        recipe=short(seed=7),
        run=RunFolder(folder / "student.run"),
    )
    checkpoint = read_checkpoint(target)
    training = checkpoint.training
    assert shipped.fingerprint == checkpoint.fingerprint
    assert checkpoint.elements == {1, 8}
    assert training["size"] == "ultra_tiny"
    assert training["recipe"]["seed"] == 7
    assert training["best_epoch"] == shipped.best_epoch == 2
    assert [point["number"] for point in training["learning_curve"]] == [1, 2]
    assert training["environment"]["versions"]["torch"]
    student = load_checkpoint(target)
    for name, structures in SETS.items():
        entry = training["data"][name]
        with Dataset(folder / f"{name}.h5") as dataset:
            assert entry["fingerprint"] == dataset.fingerprint
            metrics = evaluate(student, list(dataset))
        assert entry["structures"] == len(structures)
        assert entry["metadata"]["method"] == "springs"
        assert training["metrics"][name] == shipped.metrics[name] == metrics
    assert training["data"]["train"]["compositions"] == compositions(SETS["train"])
    assert training["data"]["validation"]["compositions"] == compositions(VALIDATION)
    assert "compositions" not in training["data"]["test"]


def test_the_same_data_and_recipe_give_the_same_weights(folder):
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    first, again = (
        distill_checkpoint(
            find_data(folder), folder / name, size="ultra_tiny", recipe=short(epochs=1)
        )
        for name in ("first.pt", "again.pt")
    )
    assert first.fingerprint == again.fingerprint


@pytest.mark.parametrize("name", ["validation", "test"])
def test_elements_that_train_has_not_are_refused_with_the_file(folder, name):
    strange = replace(VALIDATION[0], numbers=np.full(len(VALIDATION[0]), 17))
    write_dataset(folder / f"{name}.h5", [*VALIDATION, strange], metadata={})
    with pytest.raises(InputError, match=rf"{name}\.h5: has elements .* in train: Cl"):
        distill_checkpoint(find_data(folder), folder / "s.pt", size="ultra_tiny", recipe=short())


def test_data_without_labels_are_refused_with_the_file(folder):
    bare = VALIDATION[0].with_positions(VALIDATION[0].positions)
    write_dataset(folder / "test.h5", [bare], metadata={})
    with pytest.raises(InputError, match=r"test\.h5: cluster-100 has no energy"):
        distill_checkpoint(find_data(folder), folder / "s.pt", size="ultra_tiny", recipe=short())


def test_other_data_are_not_taken_up(folder):
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    run = RunFolder(folder / "student.run")

    def train(run: RunFolder):
        distill_checkpoint(
            find_data(folder), folder / "s.pt", size="ultra_tiny", recipe=short(), run=run
        )

    train(run)
    write_dataset(folder / "train.h5", TRAIN, metadata={})
    with pytest.raises(InputError, match=r"train was 'sha256:.*': --resume needs the same"):
        train(replace(run, resume=True))
