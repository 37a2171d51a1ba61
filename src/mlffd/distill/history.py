"""What happened in training, epoch by epoch."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mlffd.files import write_text_atomically


@dataclass(frozen=True)
class Epoch:
    """What happened in one epoch.

    Attributes:
        number: from 1.
        loss: mean over the steps.
        learning_rate: after its last step.
        seconds: of training and validation since the beginning of the run.
        validation: metrics of the averaged weights, see `mlffd.distill.shipping.evaluate`; None
            if they were not validated after this epoch.
    """

    number: int
    loss: float
    learning_rate: float
    seconds: float
    validation: dict[str, float] | None


def write_csv(path: Path, history: Sequence[Epoch]) -> None:
    """Write the epochs so far as a table, one row each; the file is whole or not there.

    Raises:
        InputError: it cannot be written.
    """
    metrics = list(dict.fromkeys(name for e in history for name in e.validation or ()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "loss", "learning_rate", "seconds", *metrics])
    for epoch in history:
        values = [(epoch.validation or {}).get(name, "") for name in metrics]
        writer.writerow(
            [epoch.number, epoch.loss, epoch.learning_rate, f"{epoch.seconds:.1f}", *values]
        )
    write_text_atomically(path, text.getvalue())


def learning_curve(history: Sequence[Epoch], most: int = 25) -> list[dict[str, object]]:
    """Validated epochs spread over the training, the last among them, as plain values.

    Args:
        history: all epochs.
        most: how many to give.
    """
    validated = [epoch for epoch in history if epoch.validation is not None]
    count = min(most, len(validated))
    chosen = [validated[(k + 1) * len(validated) // count - 1] for k in range(count)]
    return [asdict(epoch) for epoch in chosen]
