"""A small data set with everything in it."""

from pathlib import Path

import pytest
from dataset_samples import make_structures

from mlffd.structures.dataset import write_dataset


@pytest.fixture
def structures():
    return make_structures()


@pytest.fixture
def labelled_file(tmp_path: Path, structures) -> Path:
    path = tmp_path / "labelled.h5"
    write_dataset(path, structures, metadata={"teacher": "none", "seed": 0})
    return path
