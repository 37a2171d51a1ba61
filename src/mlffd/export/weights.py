"""Safetensors: the weights alone, for whoever has the architecture."""

from pathlib import Path

import torch

from mlffd.checkpoints import Checkpoint, save_safetensors
from mlffd.export.formats import Written
from mlffd.export.specs import input_specs, output_specs
from mlffd.optional import import_optional


def write(checkpoint: Checkpoint, path: Path, precision: str) -> Written:
    """Write weights; inputs and outputs are those of the student that is built of them.

    Args:
        checkpoint: of the student.
        path: of the file.
        precision: ``fp32`` or one of `mlffd.checkpoints.rounding.ROUNDINGS`.

    Raises:
        InputError: see `save_safetensors`.
    """
    library = import_optional("safetensors", extra="export")
    save_safetensors(path, checkpoint, precision=precision)
    student = checkpoint.student()
    return Written(
        inputs=input_specs(student),
        outputs=output_specs(student),
        versions={"torch": torch.__version__, "safetensors": str(library.__version__)},
    )
