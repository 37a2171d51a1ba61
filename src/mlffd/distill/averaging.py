"""The average of a student's weights over the course of training, which errs less than they do."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from mlffd.students import Student


class WeightAverage:
    """An exponential moving average of weights.

    The decay rises from a tenth, ``min(decay, (1 + n) / (10 + n))`` after n updates, so that the
    average soon forgets the initial weights.

    Args:
        student: is copied.
        decay: of the average at every update, below 1.

    Attributes:
        student: with the averaged weights, without gradients.
    """

    def __init__(self, student: Student, decay: float) -> None:
        self.student = copy.deepcopy(student).requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, student: Student, updates: int) -> None:
        """Take in new weights.

        Args:
            student: with the weights after a step.
            updates: how many there were before.
        """
        decay = min(self._decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(
            list(self.student.parameters()), list(student.parameters()), 1.0 - decay
        )

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from averaged weights that were saved."""
        self.student.load_state_dict(weights)
