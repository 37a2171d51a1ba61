"""The steps of an epoch that are left, so that a training can be taken up within it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlffd.distill.batches import TrainingBatch

if TYPE_CHECKING:
    from mlffd.distill.lightning_module import Distillation


class EpochSteps:
    """What is left of the current epoch, as Lightning wants a loader: sized and iterable."""

    def __init__(self, training: "Distillation") -> None:
        self._training = training

    def __len__(self) -> int:
        return self._training.steps_per_epoch

    def __iter__(self) -> Iterator[TrainingBatch]:
        return self._training.batches_from(self._training.steps)

    def state_dict(self) -> dict[str, int]:
        """Tells Lightning that it can go on within an epoch; the training restores its steps."""
        return {"steps": self._training.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Make sure that the training is where this loader was.

        Raises:
            RuntimeError: it is not.
        """
        if state["steps"] != self._training.steps:
            raise RuntimeError(
                f"saved at {state['steps']}, resumed at {self._training.steps} steps"
            )
