"""The comparison of exports runs, and says which is the smallest and which the fastest."""

import importlib.util
import json
import sys

import numpy as np
import pytest
import torch

from mlffd.checkpoints import save_checkpoint
from mlffd.errors import InputError
from mlffd.structures.dataset import write_dataset
from mlffd.structures.structure import Structure
from mlffd.students import build

SETTINGS = """\
[students.small]
checkpoint = "small.pt"
dataset = "data"
[datasets.data]
path = "data.h5"
[exports.budget]
force_rmse = 0.05
energy_rmse = 0.05
nve_picoseconds = 0.05
"""


@pytest.fixture
def benchmark(root, monkeypatch):
    loaded = {}
    for name in ("student_vs_teacher", "export_page", "export_formats"):
        spec = importlib.util.spec_from_file_location(name, root / "benchmarks" / f"{name}.py")
        loaded[name] = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, loaded[name])
        spec.loader.exec_module(loaded[name])
    monkeypatch.setattr(loaded["student_vs_teacher"], "SAMPLE", 1e-3)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return loaded["export_formats"]


def write_project(folder, atoms):
    torch.manual_seed(1)
    student = build("StudentForceField", {"hidden_dim": 32, "num_interactions": 1, "num_rbf": 4})
    save_checkpoint(folder / "small.pt", student, elements=[1, 6], training={})
    rng = np.random.default_rng(0)
    grid = 1.5 * np.indices((4, 4, 4)).reshape(3, -1).T[:atoms]
    structures = [
        Structure(
            np.tile([1, 6], atoms)[:atoms],
            grid + rng.normal(scale=0.05, size=grid.shape),
            energy=float(rng.normal()),
            forces=rng.normal(size=grid.shape),
            name=f"cluster-{number}",
        )
        for number in range(3)
    ]
    write_dataset(folder / "data.h5", structures, metadata={})
    (folder / "mlffd.toml").write_text(SETTINGS, encoding="utf-8")


def arguments(folder):
    return [
        *("small", "--config", str(folder / "mlffd.toml"), "--exports", str(folder / "exports")),
        *("-o", str(folder / "exports.md"), "--rounds", "3", "--formats", "safetensors"),
    ]


def test_a_run_writes_a_page_and_all_figures(benchmark, monkeypatch, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    pytest.importorskip("onnxruntime", reason="its version is on the page")
    write_project(tmp_path, atoms=16)
    benchmark.main(arguments(tmp_path))

    document = json.loads((tmp_path / "exports.json").read_text(encoding="utf-8"))
    (student,) = document["students"]
    found = {export["precision"]: export for export in student["exports"]}
    assert list(found) == ["fp32", "fp16", "bf16", "int8-weights"]
    assert found["fp32"]["budget"] is None
    assert found["int8-weights"]["size"] < found["fp16"]["size"] < found["fp32"]["size"]
    assert found["int8-weights"]["growth"]["force_rmse_growth"] > 0
    for export in found.values():
        assert {len(taken) for taken in export["times_faster"].values()} == {3}
    page = (tmp_path / "exports.md").read_text(encoding="utf-8")
    assert "| safetensors | int8-weights |" in page
    assert "Smallest inside the budget: `safetensors " in page
    assert "[exports.json](exports.json)" in page

    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "exports").iterdir()}
    benchmark.main(arguments(tmp_path))
    assert {p: p.stat().st_mtime_ns for p in written} == written


def test_what_could_not_be_exported_is_on_the_page_with_the_reason(
    benchmark, monkeypatch, tmp_path
):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    pytest.importorskip("onnxruntime", reason="its version is on the page")
    write_project(tmp_path, atoms=16)
    export = benchmark.export

    def all_but_bf16(checkpoint, name, format_name, precision, folder):
        if precision == "bf16":
            raise InputError("bf16: nobody has it")
        return export(checkpoint, name, format_name, precision, folder)

    monkeypatch.setattr(benchmark, "export", all_but_bf16)
    benchmark.main(arguments(tmp_path))
    page = (tmp_path / "exports.md").read_text(encoding="utf-8")
    assert "- `safetensors bf16`: bf16: nobody has it" in page


def test_a_data_set_without_such_a_molecule_is_bad_input(benchmark, tmp_path):
    write_project(tmp_path, atoms=9)
    with pytest.raises(InputError, match="small: no data set, or none with a molecule of 16 atoms"):
        benchmark.main(arguments(tmp_path))
