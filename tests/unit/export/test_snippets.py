"""The program in a manifest runs the artifact where there is no mlffd, and gives its energy."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mlffd.checkpoints import read_checkpoint, save_checkpoint
from mlffd.errors import MissingPackageError
from mlffd.export.exporting import export
from mlffd.export.formats import FORMATS
from mlffd.export.manifest import read_manifest
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import predict
from mlffd.structures.structure import Structure
from mlffd.students import build

WATER = Structure(
    numbers=np.array([8, 1, 1]),
    positions=np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]]),
)

#: Python that cannot import some packages: the runtime has to do.
WITHOUT = """
import runpy
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
runpy.run_path("snippet.py")
assert not any(sys.modules.get(name) for name in {blocked!r})
"""
_NO_MLFFD = ("mlffd", "ase", "vesin", "scipy", "pydantic")
_ONNX_ALONE = (*_NO_MLFFD, "torch", "onnx", "onnxscript", "onnx_ir")
_TORCH_ALONE = (*_NO_MLFFD, "onnx", "onnxruntime", "safetensors")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(2)
    config = {"hidden_dim": 8, "num_interactions": 1, "num_rbf": 4, "revision": 2}
    path = tmp_path_factory.mktemp("student") / "small.pt"
    save_checkpoint(path, build("StudentForceField", config), elements=(1, 6, 8), training={})
    return read_checkpoint(path)


def run(folder: Path, snippet: str, blocked: tuple[str, ...]) -> dict[str, str]:
    """What a program prints, by what it says that it is."""
    (folder / "snippet.py").write_text(snippet, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT.format(blocked=blocked)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(re.split(": | (?=\\[)", line, maxsplit=1) for line in done.stdout.splitlines())


def exported(checkpoint, format_name: str, folder: Path) -> Path:
    try:
        return export(checkpoint, "small", format_name, "fp32", folder)
    except MissingPackageError as error:
        pytest.skip(str(error))


# The program of AOTInductor packages is C++; it is compiled and run where they are tested.
@pytest.mark.parametrize("format_name", sorted(FORMATS.keys() - {"aoti", "safetensors"}))
def test_the_snippet_gives_the_energy_and_forces_of_the_student(checkpoint, tmp_path, format_name):
    snippet = read_manifest(exported(checkpoint, format_name, tmp_path)).snippet
    blocked = _ONNX_ALONE if format_name.startswith("onnx") else _TORCH_ALONE

    printed = run(tmp_path, snippet, blocked)

    student = EagerPotential(checkpoint.student(), dtype=torch.float64)
    (expected,) = predict(student, [WATER])
    assert float(printed["energy in eV"]) == pytest.approx(expected.energy, abs=1e-5)
    forces = np.array(json.loads(printed["forces in eV/Å"]))
    np.testing.assert_allclose(forces, expected.forces, atol=1e-5)
    assert len(snippet.splitlines()) <= 20


def test_the_snippet_of_weights_alone_reads_them_all(checkpoint, tmp_path):
    snippet = read_manifest(exported(checkpoint, "safetensors", tmp_path)).snippet
    shapes = {name: str(list(weight.shape)) for name, weight in checkpoint.weights.items()}
    assert run(tmp_path, snippet, _NO_MLFFD) == shapes


def test_a_program_that_needs_mlffd_would_be_found_out(tmp_path):
    with pytest.raises(AssertionError, match="ModuleNotFoundError"):
        run(tmp_path, "from mlffd import load_potential", _TORCH_ALONE)
