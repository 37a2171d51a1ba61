"""Labelled data sets: nothing lost or doubled, the same labels in whatever order."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlffd.distill.labelling import CHUNK_ATOMS, CHUNK_STRUCTURES, label_dataset
from mlffd.distill.teacher import DEFAULT
from mlffd.distill.work import parts_folder
from mlffd.errors import InputError
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.structure import Structure

TOY = "teacher_samples:lennard_jones"


def waters(count: int, seed: int = 0) -> list[Structure]:
    rng = np.random.default_rng(seed)
    water = np.array([[0.0, 0.02, 0.1], [0.76, 0.59, 0.0], [-0.8, 0.55, 0.0]])
    return [
        Structure(
            numbers=np.array([8, 1, 1]),
            positions=2 * water + 0.05 * rng.normal(size=(3, 3)),
            name=f"water/300K-{number}",
        )
        for number in range(count)
    ]


def changed(structure: Structure, element: int, name: str) -> Structure:
    return replace(structure, numbers=np.array([element, 1, 1]), name=name)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.h5"
    write_dataset(path, waters(40), metadata={"source": "a test"})
    return path


def contents(path: Path) -> dict[str, tuple[float, bytes]]:
    with Dataset(path) as dataset:
        assert len({s.name for s in dataset}) == len(dataset)
        return {s.name: (s.energy, s.forces.tobytes()) for s in dataset}


def test_every_structure_is_labelled_once_in_order(source, tmp_path):
    done = label_dataset(source, tmp_path / "target.h5", teacher=TOY, jobs=2)
    assert done.written == 40
    assert done.failures == []
    with Dataset(source) as before, Dataset(tmp_path / "target.h5") as after:
        assert after.is_labelled
        for structure, labelled in zip(before, after, strict=True):
            assert labelled.name == structure.name
            np.testing.assert_array_equal(labelled.positions, structure.positions)


def test_the_file_says_where_labels_come_from(source, tmp_path):
    label_dataset(source, tmp_path / "target.h5", teacher=TOY, jobs=1)
    with Dataset(source) as before, Dataset(tmp_path / "target.h5") as after:
        assert after.metadata["source"] == "a test"
        assert after.metadata["source_fingerprint"] == before.fingerprint
        assert after.metadata["teacher"] == TOY
        assert after.metadata["method"] == "LennardJones"
        assert after.metadata["mlffd"]
        assert after.metadata["left_out"] == 0


def test_failures_and_outliers_are_left_out_counted_and_named(tmp_path, source):
    fine = waters(30)
    odd = [
        changed(fine[0], 9, "odd/300K-0"),
        changed(fine[1], 17, "odd/300K-1"),
        replace(fine[2], positions=fine[2].positions * 0.4, name="odd/x-0"),
        replace(fine[3], cell=np.eye(3) * 9, pbc=np.array([1, 1, 0]), name="odd/slab-0"),
    ]
    write_dataset(source, [*odd, *fine], metadata={})
    done = label_dataset(source, tmp_path / "target.h5", teacher="teacher_samples:moody", jobs=1)
    assert done.written == 30
    assert sorted(name for name, _ in done.failures) == sorted(s.name for s in odd)
    assert done.reasons == {"ArithmeticError": 1, "forces": 1, "strong force": 1, "pbc": 1}
    assert set(contents(tmp_path / "target.h5")) == {s.name for s in fine}
    with Dataset(tmp_path / "target.h5") as dataset:
        assert dataset.metadata["left_out"] == 4
        assert json.loads(dataset.metadata["left_out_reasons"]) == dict(done.reasons)
        assert json.loads(dataset.metadata["left_out_structures"]) == [
            list(failure) for failure in done.failures
        ]


def test_very_many_failures_still_fit_into_the_file(tmp_path, source):
    fine = waters(1)
    odd = [changed(fine[0], 9, f"{'odd' * 20}/300K-{number}") for number in range(600)]
    write_dataset(source, [*fine, *odd], metadata={})
    label_dataset(source, tmp_path / "target.h5", teacher="teacher_samples:moody", jobs=1)
    with Dataset(tmp_path / "target.h5") as dataset:
        assert dataset.metadata["left_out"] == 600
        assert 50 < len(json.loads(dataset.metadata["left_out_structures"])) < 600


def test_if_nothing_can_be_labelled_nothing_is_written(tmp_path, source):
    write_dataset(source, [changed(waters(1)[0], 9, "odd")], metadata={})
    with pytest.raises(
        InputError, match=r"no structure could be labelled; the first, 'odd': Arith"
    ):
        label_dataset(source, tmp_path / "target.h5", teacher="teacher_samples:moody", jobs=1)
    # Nor anything kept that would make the next try tell the same.
    assert [path.name for path in tmp_path.iterdir()] == ["source.h5"]


def test_the_source_is_not_replaced(source):
    before = source.read_bytes()
    with pytest.raises(InputError, match=r"source\.h5: is the source itself"):
        label_dataset(source, source.parent / "." / source.name, teacher=TOY)
    assert source.read_bytes() == before


def test_no_structures_are_nothing_to_label(source, tmp_path):
    with h5py.File(source, "r+") as file:
        for key in list(file["structures"]):
            column = file["structures"][key]
            empty = column[:1] * 0 if key == "atomic_numbers_splits" else column[:0]
            del file["structures"][key]
            file["structures"][key] = empty
    with pytest.raises(InputError, match=r"source\.h5: no structures to label"):
        label_dataset(source, tmp_path / "target.h5", teacher=TOY)


def test_a_target_that_cannot_be_written_is_refused_before_anything_is_labelled(source, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"target: .*folder: a folder, expected a file to write"):
        label_dataset(source, tmp_path / "folder", teacher=TOY)
    with pytest.raises(InputError, match=r"target: .*absent.* does not exist"):
        label_dataset(source, tmp_path / "absent" / "target.h5", teacher=TOY)
    assert {path.name for path in tmp_path.iterdir()} == {"source.h5", "folder"}


def test_a_teacher_that_is_none_is_refused_before_anything_is_written(tmp_path, source):
    with pytest.raises(InputError, match="No module named 'absent'"):
        label_dataset(source, tmp_path / "target.h5", teacher="absent:teacher")
    assert [path.name for path in tmp_path.iterdir()] == ["source.h5"]


def test_parts_of_another_source_or_teacher_are_refused(tmp_path, source):
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StopError

    target = tmp_path / "target.h5"
    with pytest.raises(StopError):
        label_dataset(source, target, teacher=TOY, jobs=1, on_done=stop)
    with pytest.raises(InputError, match=r"parts made with .*remove the folder to start again"):
        label_dataset(source, target, teacher="teacher_samples:moody", jobs=1)
    write_dataset(source, waters(40, seed=1), metadata={})
    with pytest.raises(InputError, match="parts made with source_fingerprint"):
        label_dataset(source, target, teacher=TOY, jobs=1)


def test_chunks_are_small(tmp_path, source):
    """What is lost by a kill, and what the last process computes alone."""
    large = [
        Structure(numbers=np.full(n, 1), positions=np.arange(3.0 * n).reshape(n, 3), name=f"x/{n}")
        for n in (CHUNK_ATOMS + 1, CHUNK_ATOMS // 2, CHUNK_ATOMS // 2, 2)
    ]
    write_dataset(source, [*waters(CHUNK_STRUCTURES + 1), *large], metadata={})
    totals: list[int] = []
    done = label_dataset(
        source,
        tmp_path / "target.h5",
        teacher=TOY,
        jobs=1,
        on_done=lambda done, total: totals.append(total),
    )
    assert set(totals) == {5}
    assert done.written == CHUNK_STRUCTURES + 5


def test_gfn2_labels_are_the_same_bit_for_bit_in_any_order_and_number_of_processes(tmp_path):
    pytest.importorskip("tblite", reason="labels need tblite")
    structures = [
        structure.with_positions(structure.positions / 2) for structure in waters(CHUNK_STRUCTURES)
    ]
    structures += [
        replace(waters(1)[0], name="H/atom", numbers=np.array([1]), positions=np.zeros((1, 3)))
    ]
    labelled = []
    for number, (order, jobs) in enumerate([(1, 1), (1, 2), (-1, 2)]):
        source, target = tmp_path / f"source-{number}.h5", tmp_path / f"target-{number}.h5"
        write_dataset(source, structures[::order], metadata={})
        label_dataset(source, target, teacher=DEFAULT, jobs=jobs)
        labelled.append(target)
    with Dataset(labelled[0]) as first, Dataset(labelled[1]) as second:
        assert first.fingerprint == second.fingerprint
    assert contents(labelled[2]) == contents(labelled[0])


def test_killed_it_resumes_without_losing_or_doubling_a_structure(tmp_path):
    """The command itself, in a process of its own; `test_work` kills at more moments."""
    source, target, undisturbed = (tmp_path / f"{name}.h5" for name in ("source", "a", "b"))
    write_dataset(source, waters(160), metadata={})
    teacher = "teacher_samples:slow_lennard_jones"
    command = [sys.executable, "-m", "mlffd", "data", "label", source, target, "--jobs", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parts = parts_folder(target)
    process = subprocess.Popen([*command, "--teacher", teacher], env=environment)
    while process.poll() is None and len(list(parts.glob("0*.json"))) < 3:
        time.sleep(0.02)
    assert process.poll() is None, "it was done before it was killed"
    process.kill()
    process.wait()
    assert not target.exists()
    kept: list[int] = []
    done = label_dataset(
        source, target, teacher=teacher, jobs=2, on_done=lambda done, total: kept.append(done)
    )
    assert done.written == 160
    assert kept[0] >= 3
    assert not parts.exists()
    label_dataset(source, undisturbed, teacher=TOY, jobs=2)
    with Dataset(target) as first, Dataset(undisturbed) as second:
        assert first.fingerprint == second.fingerprint
