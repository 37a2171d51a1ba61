"""The study of the history gate runs, and says what it measured."""

import importlib.util
import json
import sys

import numpy as np
import pytest

pytest.importorskip("otava.analysis", reason="pip install --no-deps apache-otava==0.8.0")


@pytest.fixture
def benchmark(root, monkeypatch):
    path = root / "benchmarks" / "history_power.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["normal", "with outliers", "drifting"])
def test_each_noise_has_the_width_that_is_asked_for(benchmark, name):
    generator = np.random.default_rng(0)
    values = np.concatenate([benchmark.NOISES[name](generator, 0.03) for _ in range(300)])
    assert values.std() == pytest.approx(0.03, rel=0.1)
    assert values.mean() == pytest.approx(0, abs=0.002)


def test_a_step_without_noise_is_found_after_two_commits_at_its_place(benchmark, monkeypatch):
    monkeypatch.setitem(benchmark.NOISES, "none", lambda *_: np.zeros(benchmark.COMMITS))
    found = benchmark.power("none", 0.0, trials=1)
    assert (found.per_run, found.ever) == (0, 0)
    assert set(found.found.values()) == {1}
    assert set(found.misplaced.values()) == {0}
    assert set(found.delays.values()) == {(2, 2)}


def test_a_run_writes_a_page_and_all_figures(benchmark, monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "STEPS", (0.2,))
    benchmark.main(["--trials", "2", "-o", str(tmp_path / "power.md")])
    document = json.loads((tmp_path / "power.json").read_text(encoding="utf-8"))
    assert document["trials"] == 2
    assert [result["noise"] for result in document["results"]] == list(benchmark.NOISES)
    page = (tmp_path / "power.md").read_text(encoding="utf-8")
    for result in document["results"]:
        assert f"| {result['noise']} | {result['per_run']:.2%} |" in page
