"""`mlffd data split`: what it prints, and what it answers to bad input."""

from pathlib import Path

import pytest
from split_samples import library
from typer.testing import CliRunner

from mlffd.cli import app
from mlffd.distill.split import PARTS
from mlffd.errors import InputError
from mlffd.structures.dataset import Dataset, write_dataset

SHARES = ["--validation", "0.1", "--test", "0.2"]
NUMBERS = ["--test-structures", "40", "--golden-structures", "30"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "labelled.h5"
    write_dataset(path, library(), metadata={})
    return path


def run(source: Path, folder: Path, *options: str):
    arguments = ["data", "split", str(source), str(folder), *SHARES, *NUMBERS, *options]
    return CliRunner().invoke(app, arguments)


def test_it_prints_how_many_there_are_of_what_and_the_fingerprints(source, tmp_path):
    done = run(source, tmp_path / "data", "--seed", "3")
    assert done.exit_code == 0
    lines = {line.split()[0]: line.split()[1:] for line in done.output.splitlines()}
    assert lines["structures"] == list(PARTS)
    counts = {}
    for position, name in enumerate(PARTS):
        with Dataset(tmp_path / "data" / f"{name}.h5") as dataset:
            assert lines[f"{name}.h5:"] == [dataset.fingerprint]
            counts[name] = len(dataset)
            assert lines["all"][position] == f"{len(dataset):,}"
            sulfur = sum(16 in structure.numbers for structure in dataset)
            assert lines["S"][position] == f"{sulfur:,}"
            assert dataset.metadata["split_seed"] == 3
    assert 30 <= counts["golden"] <= 32
    assert 40 <= counts["test"] <= 42
    assert "structures of test molecules that were not chosen" in done.output
    assert f"5 files written to {tmp_path / 'data'}" in done.output.replace("\n", "")


def test_a_share_that_is_none_is_refused_before_anything_is_read(tmp_path):
    done = run(tmp_path / "absent.h5", tmp_path / "data", "--conformers", "4")
    assert isinstance(done.exception, InputError)
    assert "conformers: 4, expected a share between 0 and 1" in str(done.exception)


def test_files_of_another_split_are_not_replaced(source, tmp_path):
    (tmp_path / "train.h5").write_text("precious")
    done = run(source, tmp_path)
    assert isinstance(done.exception, InputError)
    assert (tmp_path / "train.h5").read_text() == "precious"
