"""A program with an exported file and its manifest, without mlffd, gets what the student says."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from exported_files import exported

from mlffd.checkpoints import Checkpoint, read_checkpoint
from mlffd.config import load_settings
from mlffd.export.all_exports import Task
from mlffd.export.deviations import TOLERANCES, Answer, ask, difference, exceeding, worst
from mlffd.export.equivalence import cases_for
from mlffd.export.formats import FORMATS
from mlffd.export.manifest import FULL_PRECISIONS, Manifest, dtype_of, read_manifest
from mlffd.export.placing import made
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures.batch import Batch, collate

ROOT = Path(__file__).parents[2]
SETTINGS = load_settings(ROOT / "mlffd.toml")
CHECKPOINT = SETTINGS.students["ultra_tiny"].checkpoint

PROGRAM = Path(__file__).with_name("run_by_manifest.py")

#: Weights alone are no program: nothing but mlffd runs them.
PROGRAMS = sorted(FORMATS.keys() - {"safetensors"})

#: Python that cannot import some packages: the runtime has to do.
WITHOUT = """
import runpy
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
runpy.run_path({program!r}, run_name="__main__")
assert not any(sys.modules.get(name) for name in {blocked!r})
"""
_NO_MLFFD = ("mlffd", "ase", "vesin", "scipy", "pydantic", "onnx", "onnxscript", "onnx_ir")


def batches_of(checkpoint: Checkpoint, manifest: Manifest) -> Iterator[Batch]:
    """The cases that exports are verified on, one molecule at a time where they take no more."""
    student = checkpoint.student()
    for case in cases_for(student, checkpoint.elements, periodic=manifest.honours_cells):
        members = case.structures
        alone = manifest.neighbours == "inside"
        for structures in [[member] for member in members] if alone else [list(members)]:
            yield collate(structures, manifest.cutoff, dtype=dtype_of(manifest.precision))


def run_without_mlffd(artifact: Path, batches: list[Batch], folder: Path) -> list[Answer]:
    """What the program gets, as answers to be compared."""
    runtime, other = "onnxruntime", "torch"
    if artifact.suffix != ".onnx":
        runtime, other = other, runtime
    given = {
        f"{number}/{name}": value.numpy()
        for number, batch in enumerate(batches)
        for name, value in vars(batch).items()
        if torch.is_tensor(value)
    }
    np.savez(folder / "inputs.npz", **given)
    without = WITHOUT.format(blocked=(*_NO_MLFFD, other), program=str(PROGRAM))
    done = subprocess.run(
        [sys.executable, "-I", "-c", without, artifact, "inputs.npz", "outputs.npz"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = []
    with np.load(folder / "outputs.npz") as outputs:
        for number, batch in enumerate(batches):
            virial = outputs.get(f"{number}/virial")
            volumes = batch.volumes().double().numpy()[:, None, None]
            energy, forces = (outputs[f"{number}/{name}"] for name in ("energy", "forces"))
            stress = None if virial is None else -virial / volumes
            answers.append(Answer(energy, forces.astype(np.float64), stress))
    return answers


@pytest.mark.parametrize("precision", FULL_PRECISIONS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_manifest_is_enough_to_get_the_energies_forces_and_virials_of_the_student(
    name: str, precision: str, tmp_path: Path
) -> None:
    task = Task("ultra_tiny", CHECKPOINT, name, precision)
    artifact = exported(task, made(SETTINGS.exports.folder))
    checkpoint, manifest = read_checkpoint(CHECKPOINT), read_manifest(artifact)
    reference = EagerPotential(checkpoint.student())
    batches = list(batches_of(checkpoint, manifest))

    answers = run_without_mlffd(artifact, batches, tmp_path)

    deviations = []
    for answer, batch in zip(answers, batches, strict=True):
        exact = replace(
            batch,
            positions=batch.positions.double(),
            shifts=batch.shifts.double(),
            cells=batch.cells.double(),
        )
        deviations.append(difference(answer, ask(reference, exact), batch))
    found = worst(deviations)
    assert exceeding(found, TOLERANCES[precision]) == {}
    assert (found.virial is None) is (manifest.neighbours == "inside")


def test_a_manifest_that_names_inputs_otherwise_is_of_no_use(tmp_path: Path) -> None:
    """So it is the manifest that the program goes by."""
    frozen = SETTINGS.artifacts["v1-torchscript"].path
    for path in (frozen, frozen.with_name(f"{frozen.name}.json")):
        text = path.read_bytes().replace(b'"shape": [\n    "edges",', b'"shape": [\n    "atoms",')
        (tmp_path / path.name).write_bytes(text)
    manifest = read_manifest(frozen)
    batches = list(batches_of(read_checkpoint(CHECKPOINT), manifest))[:1]

    with pytest.raises(AssertionError, match="shifts: atoms is"):
        run_without_mlffd(tmp_path / frozen.name, batches, tmp_path)
