"""From labelled data sets to a checkpoint that says how it was made."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from mlffd.checkpoints import save_checkpoint
from mlffd.distill.history import Epoch, learning_curve
from mlffd.distill.recipe import Recipe
from mlffd.distill.run_folder import RunFolder
from mlffd.distill.train import Trained, require_elements, require_labels, train_student
from mlffd.distill.trainer import Hardware
from mlffd.environment import command_line, describe_environment
from mlffd.errors import InputError
from mlffd.golden.metrics import metric_values
from mlffd.golden.predicting import predict_all
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures.composition import compositions
from mlffd.structures.dataset import Dataset
from mlffd.structures.structure import Structure
from mlffd.students import Student

#: What a folder of data holds. Training sees the first two; the others are only reported on.
NEEDED = ("train", "validation")
REPORTED = ("conformers", "test", "golden")


@dataclass(frozen=True)
class Shipped:
    """What was written.

    Attributes:
        fingerprint: of the weights.
        best_epoch: whose weights they are.
        metrics: see `evaluate`, by data set.
    """

    fingerprint: str
    best_epoch: int
    metrics: dict[str, dict[str, float]]


def find_data(folder: Path) -> dict[str, Path]:
    """The data sets of a folder: ``train.h5`` and so on, by name.

    Raises:
        InputError: there is no such folder, or no data to train on or to validate with.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder with train.h5 and validation.h5")
    found = {name: folder / f"{name}.h5" for name in (*NEEDED, *REPORTED)}
    for name in NEEDED:
        if not found[name].exists():
            raise InputError(f"{found[name]}: not found")
    return {name: path for name, path in found.items() if path.exists()}


def evaluate(student: Student, structures: Sequence[Structure]) -> dict[str, float]:
    """Every metric of `mlffd.golden.metrics`, by name, in float32 as in use.

    Those that the labels say nothing of, such as ``stress_mae`` without stress labels, are absent.

    Raises:
        InputError: a structure has no energy or no forces.
    """
    potential = EagerPotential(student, dtype=torch.float32)
    return metric_values(structures, predict_all(potential, structures))


def distill_checkpoint(
    data: Mapping[str, Path],
    target: Path,
    *,
    size: str,
    recipe: Recipe,
    hardware: Hardware | None = None,
    run: RunFolder | None = None,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Shipped | None:
    """Train a student and write its checkpoint; the same data and recipe give the same weights.

    Args:
        data: labelled HDF5 files by name: ``train``, ``validation``, and any others to report on.
        target: the checkpoint to write.
        size: see `train_student`.
        recipe: see `train_student`.
        hardware: see `train_student`.
        run: see `train_student`.
        on_step: see `train_student`.
        on_epoch: see `train_student`.

    Returns:
        What was written; None if that is the business of another process that trained along.

    Raises:
        InputError: a data set or the size is no good, or the checkpoint cannot be written.
        UnfinishedError: see `train_student`.
    """
    hardware = hardware or Hardware()
    structures: dict[str, list[Structure]] = {}
    provenance: dict[str, dict[str, object]] = {}
    for name, path in data.items():
        with Dataset(path) as dataset:
            structures[name] = list(dataset)
            require_labels(structures[name], str(path))
            require_elements(structures[name], structures["train"], str(path))
            provenance[name] = {
                "file": path.name,
                "fingerprint": dataset.fingerprint,
                "structures": len(dataset),
                "metadata": dict(dataset.metadata),
            }
    for name in NEEDED:
        provenance[name]["compositions"] = compositions(structures[name])
    trained = train_student(
        structures["train"],
        structures["validation"],
        size=size,
        recipe=recipe,
        hardware=hardware,
        run=run,
        fingerprints={name: str(provenance[name]["fingerprint"]) for name in NEEDED},
        on_step=on_step,
        on_epoch=on_epoch,
    )
    if not trained.is_first:
        return None
    # A checkpoint holds no NaN.
    metrics = {
        name: {k: v for k, v in evaluate(trained.student, found).items() if math.isfinite(v)}
        for name, found in structures.items()
    }
    fingerprint = save_checkpoint(
        target,
        trained.student,
        elements=np.unique(np.concatenate([s.numbers for s in structures["train"]])).tolist(),
        training={
            "size": size,
            "recipe": asdict(recipe),
            "hardware": asdict(hardware),
            **_course(trained),
            "data": provenance,
            "metrics": metrics,
            "command": command_line(),
            "environment": describe_environment(hardware.device),
            "lightning": version("lightning"),
        },
    )
    return Shipped(fingerprint, trained.best.number, metrics)


def _course(trained: Trained) -> dict[str, object]:
    return {
        "best_epoch": trained.best.number,
        "minutes": round(trained.history[-1].seconds / 60, 1),
        "learning_curve": learning_curve(trained.history),
    }
