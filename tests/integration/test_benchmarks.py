"""Benchmarks run, and say what they measured."""

import importlib.util
import json
import sys

import numpy as np
import pytest
from small_project import save_student

from mlffd.errors import InputError


@pytest.fixture
def benchmark(root, monkeypatch):
    path = root / "benchmarks" / "student_vs_teacher.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SAMPLE", 1e-3)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return module


def test_a_median_has_the_interval_of_order_statistics(benchmark):
    """Conover's table: of 15 samples, the 4th and the 12th."""
    samples = np.random.default_rng(0).permutation(np.arange(1.0, 16.0))
    assert benchmark.median_interval(samples) == (8.0, 4.0, 12.0)
    fewest = np.arange(1.0, benchmark.FEWEST_ROUNDS + 1)
    assert benchmark.median_interval(fewest)[1:] == (fewest[0], fewest[-1])


def test_contestants_take_turns_in_alternating_order(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "_enough", lambda call: 1)
    order = []
    contestants = {name: lambda name=name: order.append(name) for name in "abc"}
    samples = benchmark.in_turns(contestants, rounds=3)
    assert "".join(order) == "abccbaabc"
    assert [len(taken) for taken in samples.values()] == [3, 3, 3]


def test_short_calls_are_repeated_until_a_sample_is_long_enough(benchmark, monkeypatch):
    times = iter(range(100))
    monkeypatch.setattr(benchmark.time, "process_time", lambda: 1e-4 * next(times))
    assert benchmark._enough(lambda: None) == 10


def test_a_run_writes_a_page_and_all_figures(benchmark, monkeypatch, tmp_path):
    pytest.importorskip("rdkit", reason="molecules need rdkit")
    pytest.importorskip("tblite.ase", reason="the teacher needs tblite")
    save_student(tmp_path / "small.pt")
    monkeypatch.setattr(benchmark, "WORKLOADS", (("water", 1), ("water", 3)))

    arguments = [str(tmp_path / "small.pt"), "-o", str(tmp_path / "speed.md"), "--rounds", "6"]
    benchmark.main(arguments)

    document = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert document["environment"]["threads"] == 1
    assert [(t["atoms"], t["structures"]) for t in document["timings"]] == [(3, 1), (3, 3)]
    for timing in document["timings"]:
        faster = timing["times_faster"]["small"]
        assert 0 < faster["low"] <= faster["median"] <= faster["high"]
        assert {len(taken) for taken in timing["milliseconds"].values()} == {6}
        assert timing["milliseconds"].keys() == {"GFN2-xTB", "small"}
    page = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert "| `water` | 3 | 3 | " in page
    assert "[speed.json](speed.json)" in page


@pytest.mark.parametrize(
    ("threads", "arguments"),
    [("2", []), ("1", ["--rounds", "5"]), ("1", ["again/small.pt"])],
)
def test_a_run_that_would_mean_nothing_is_refused(
    benchmark, monkeypatch, tmp_path, threads, arguments, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    (tmp_path / "again").mkdir()
    for folder in (tmp_path, tmp_path / "again"):
        save_student(folder / "small.pt")
    with pytest.raises(SystemExit) as refusal:
        benchmark.main(["small.pt", "-o", "speed.md", *arguments])
    assert refusal.value.code == 2
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "speed.md").exists()


def test_a_page_that_could_not_be_written_is_refused_before_anything_is_timed(benchmark, tmp_path):
    save_student(tmp_path / "small.pt")
    with pytest.raises(InputError, match="--output"):
        benchmark.main([str(tmp_path / "small.pt"), "-o", str(tmp_path / "absent" / "speed.md")])
