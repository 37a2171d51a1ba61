"""A format that is quick to write, and students to export, for tests of the pipeline."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from export_cases import small_student

from mlffd.checkpoints import Checkpoint, read_checkpoint, save_checkpoint
from mlffd.export.all_exports import Work, export_task
from mlffd.export.exporting import export
from mlffd.export.formats import FORMATS, Format, Written
from mlffd.export.manifest import Manifest
from mlffd.export.specs import input_specs, output_specs
from mlffd.runtimes.eager import EagerPotential
from mlffd.students import Student, build

ELEMENTS = (1, 6, 8)

#: Looks like TorchScript from outside, so that there is a snippet for it.
PLAIN = Format(
    "torchscript", ".pt", ("fp32", "fp64"), "pipeline_samples:write", "pipeline_samples:Plain"
)


def write(
    student: Student, path: Path, *, opset: int = 18, spoil: Callable[[Path], None] | None = None
) -> Written:
    """Write the weights; ``spoil`` does to the file what an exporter might do wrong."""
    torch.save({"config": student.config, "weights": student.state_dict()}, path)
    logging.getLogger("torch.export").warning("took a while")
    if spoil is not None:
        spoil(path)
    return Written(
        inputs=input_specs(student),
        outputs=output_specs(student),
        versions={"torch": torch.__version__, "opset": str(opset)},
        options={"found out": "by itself"},
    )


class Plain(EagerPotential):
    """Runs the weights."""

    def __init__(self, path: Path, manifest: Manifest, **_: object) -> None:
        saved = torch.load(path, weights_only=True)
        student = build("StudentForceField", saved["config"])
        student.to(manifest.dtype).load_state_dict(saved["weights"])
        super().__init__(student, dtype=manifest.dtype)


def change_weights(path: Path) -> None:
    saved = torch.load(path, weights_only=True)
    saved["weights"]["energy_head.4.bias"] += 1e-3
    torch.save(saved, path)


def change_forces(path: Path) -> None:
    """Energies of usual molecules hardly change: the scale of one filter is a little off."""
    saved = torch.load(path, weights_only=True)
    saved["weights"]["embedding.weight"][8] *= 1 + 1e-3
    torch.save(saved, path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def warn_of_duplicates(_: Path) -> None:
    warnings.warn("no support for duplicated values in 'index'", stacklevel=1)


def interrupt(_: Path) -> None:
    raise KeyboardInterrupt


def save_student(path: Path, seed: int = 2) -> Checkpoint:
    """A checkpoint of a random student that claims to know hydrogen, carbon and oxygen."""
    student = small_student(2, torch.float32)
    with torch.no_grad():
        student.get_parameter("embedding.weight")[list(ELEMENTS)] *= 1 - 0.1 * seed
    save_checkpoint(path, student, elements=ELEMENTS, training={})
    return read_checkpoint(path)


def export_plainly(work: Work) -> None:
    """Like `export_task`, in a process that knows the quick format."""
    FORMATS[PLAIN.name] = PLAIN
    export_task(work)


def export_all_but_fp32(work: Work) -> None:
    task, _ = work
    if task.precision == "fp32":
        raise ZeroDivisionError("the exporter stumbled")
    export_plainly(work)


def export_spoilt(work: Work) -> None:
    """Export something that is not the student."""
    task, folder = work
    FORMATS[PLAIN.name] = PLAIN
    checkpoint = read_checkpoint(task.checkpoint)
    spoilt = {"spoil": change_weights}
    export(checkpoint, task.student, task.format, task.precision, folder, options=spoilt)
