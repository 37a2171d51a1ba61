"""From labelled data sets to a checkpoint that says how it was made."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mlffd.checkpoints import save_checkpoint
from mlffd.distill.evaluation import evaluate
from mlffd.distill.train import Epoch, Recipe, require_labels, train_student
from mlffd.environment import command_line, describe_environment
from mlffd.structures.dataset import Dataset


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


def distill_checkpoint(
    data: Mapping[str, Path],
    target: Path,
    *,
    size: str,
    recipe: Recipe,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Shipped:
    """Train a student and write its checkpoint; the same data and recipe give the same weights.

    Args:
        data: labelled HDF5 files by split: ``train``, ``validation`` and ``test``.
        target: the checkpoint to write.
        size: see `train_student`.
        recipe: see `train_student`.
        on_epoch: see `train_student`.

    Raises:
        InputError: a data set or the size is no good, or the checkpoint cannot be written.
    """
    structures, provenance = {}, {}
    for split, path in data.items():
        with Dataset(path) as dataset:
            structures[split] = list(dataset)
            require_labels(structures[split], str(path))
            provenance[split] = {
                "file": path.name,
                "fingerprint": dataset.fingerprint,
                "structures": len(dataset),
                "metadata": dict(dataset.metadata),
            }
    trained = train_student(
        structures["train"], structures["validation"], size=size, recipe=recipe, on_epoch=on_epoch
    )
    metrics = {split: evaluate(trained.student, found) for split, found in structures.items()}
    elements = np.unique(np.concatenate([s.numbers for s in structures["train"]])).tolist()
    fingerprint = save_checkpoint(
        target,
        trained.student,
        elements=elements,
        training={
            "size": size,
            "recipe": asdict(recipe),
            "best_epoch": trained.best.number,
            "data": provenance,
            "metrics": metrics,
            "command": command_line(),
            "environment": describe_environment(),
        },
    )
    return Shipped(fingerprint, trained.best.number, metrics)
