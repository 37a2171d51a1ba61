"""The commands that make data: what they print, and what they answer to bad input."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from split_samples import library
from typer.testing import CliRunner

from mlffd.cli import app
from mlffd.distill.data_commands import generate, label
from mlffd.distill.split import PARTS
from mlffd.errors import InputError
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.structure import Structure

SHARES = ["--validation", "0.1", "--test", "0.2"]
NUMBERS = ["--test-structures", "40", "--golden-structures", "30"]

WATER = Structure(
    numbers=np.array([8, 1, 1]),
    positions=np.array([[0.0, 0.02, 0.1], [1.5, 1.2, 0.0], [-1.6, 1.1, 0.0]]),
    name="water/min-0",
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    odd = replace(WATER, numbers=np.array([9, 1, 1]), name="odd\x1b[2J")
    write_dataset(tmp_path / "in.h5", [odd, WATER], metadata={"source": "a test"})
    return tmp_path / "in.h5"


def test_label_leaves_out_what_cannot_be_labelled_and_says_so(source, tmp_path, capsys):
    target = tmp_path / "out.h5"
    label(source, target, teacher="teacher_samples:moody", jobs=1)
    said = capsys.readouterr()
    assert "left out: 'odd\\x1b[2J': ArithmeticError: no convergence" in said.err
    assert "left out: 1 for ArithmeticError" in said.err
    assert f"1 structures written to {target}" in said.out


def test_labels_are_those_of_gfn2_unless_said_otherwise(source, tmp_path):
    pytest.importorskip("tblite", reason="the default teacher needs tblite")
    target = tmp_path / "out.h5"
    label(source, target, jobs=1)
    with Dataset(target) as dataset:
        assert dataset.metadata["method"] == "GFN2-xTB"
        assert dataset.metadata["source"] == "a test"


def test_an_interrupt_says_how_to_go_on(source, tmp_path, capsys, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlffd.distill.labelling.run_units", interrupt)
    with pytest.raises(typer.Exit) as raised:
        label(source, tmp_path / "out.h5", teacher="teacher_samples:moody")
    assert raised.value.exit_code == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_generate_makes_structures_of_the_molecules_of_a_file(tmp_path, capsys):
    for package in ("rdkit", "tblite"):
        pytest.importorskip(package, reason=f"structures are made with {package}")
    listed, target = tmp_path / "own.smi", tmp_path / "out.h5"
    listed.write_text("# mine\nCCO ethanol alcohol\n")
    generate(target, seed=3, jobs=1, molecules=listed)
    said = capsys.readouterr().out
    with Dataset(target) as dataset:
        assert said.startswith(f"{len(dataset)} structures (")
        assert " thermal, " in said
        assert dataset.metadata["seed"] == 3
        assert not dataset.is_labelled


def test_generate_without_the_extra_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit.Chem", None)
    with pytest.raises(InputError, match=r"rdkit is not installed.*mlffd\[label\]"):
        generate(tmp_path / "out.h5")
    assert list(tmp_path.iterdir()) == []


def test_generate_names_a_list_that_is_not_there_or_is_no_text(tmp_path):
    with pytest.raises(InputError, match=r"absent\.smi: cannot be read"):
        generate(tmp_path / "out.h5", molecules=tmp_path / "absent.smi")
    (tmp_path / "binary.smi").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"binary\.smi: cannot be read"):
        generate(tmp_path / "out.h5", molecules=tmp_path / "binary.smi")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "labelled.h5"
    write_dataset(path, library(), metadata={})
    return path


def run_split(source: Path, folder: Path, *options: str):
    arguments = ["data", "split", str(source), str(folder), *SHARES, *NUMBERS, *options]
    return CliRunner().invoke(app, arguments)


def test_split_prints_how_many_there_are_of_what_and_the_fingerprints(labelled, tmp_path):
    done = run_split(labelled, tmp_path / "data", "--seed", "3")
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
    done = run_split(tmp_path / "absent.h5", tmp_path / "data", "--conformers", "4")
    assert isinstance(done.exception, InputError)
    assert "conformers: 4, expected a share between 0 and 1" in str(done.exception)


def test_files_of_another_split_are_not_replaced(labelled, tmp_path):
    (tmp_path / "train.h5").write_text("precious")
    done = run_split(labelled, tmp_path)
    assert isinstance(done.exception, InputError)
    assert (tmp_path / "train.h5").read_text() == "precious"


def test_split_says_of_which_file_too_few_molecules_are(source, tmp_path):
    with Dataset(source) as dataset:
        labelled = [replace(s, energy=0.0, forces=np.zeros((3, 3))) for s in dataset]
    write_dataset(source, labelled, metadata={})
    done = run_split(source, tmp_path / "data")
    assert re.fullmatch(r".*in\.h5: \w+: no structure is left for it.*", str(done.exception))
    assert not (tmp_path / "data").exists()
