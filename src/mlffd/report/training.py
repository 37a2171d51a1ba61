"""What a checkpoint says of its training, in the form in which `mlffd distill` writes it.

Checkpoints come from anywhere: whatever has another form says nothing.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator


def _or_nothing(value: object, validate: Callable[[object], object]) -> object:
    try:
        return validate(value)
    except ValidationError:
        return None


_Lenient = WrapValidator(_or_nothing)
#: Hill, with numbers that fit.
_Formula = Annotated[str, Field(pattern=r"^(?:[A-Z][a-z]?[0-9]{0,6})+$")]
_COUNT = re.compile(r"[A-Z][a-z]?([0-9]*)")


class _Statement(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class DataStatement(_Statement):
    """A data set that it was made with.

    Attributes:
        fingerprint: of its content.
        structures: how many.
        metadata: what the data set says of itself.
        compositions: the distinct Hill formulas of its structures.
    """

    fingerprint: str
    structures: int
    metadata: dict[str, str | int | float] = {}
    compositions: Annotated[list[_Formula] | None, _Lenient] = None


class EpochStatement(_Statement):
    """An epoch of the learning curve.

    Attributes:
        number: from 1.
        loss: mean over the steps.
        validation: metrics by name.
    """

    number: int
    loss: float
    validation: dict[str, float]


class TrainingStatement(_Statement):
    """All that it says; None where it says nothing.

    Attributes:
        data: by name, ``train`` among them.
        recipe: settings by name.
        command: that was called.
        environment: where it was trained.
        best_epoch: whose weights these are.
        minutes: of training.
        learning_curve: validated epochs, the last among them.
        metrics: after training, by data set and name.
    """

    data: Annotated[dict[str, DataStatement] | None, _Lenient] = None
    recipe: Annotated[dict[str, Any] | None, _Lenient] = None
    command: Annotated[str | None, _Lenient] = None
    environment: Annotated[dict[str, Any] | None, _Lenient] = None
    best_epoch: Annotated[int | None, _Lenient] = None
    minutes: Annotated[float | None, _Lenient] = None
    learning_curve: Annotated[list[EpochStatement] | None, _Lenient] = None
    metrics: Annotated[dict[str, dict[str, float]] | None, _Lenient] = None

    @property
    def versions(self) -> dict[str, Any]:
        """Of the programs it was trained with."""
        versions = (self.environment or {}).get("versions")
        return versions if isinstance(versions, dict) else {}

    @property
    def sizes(self) -> tuple[int, int] | None:
        """Atoms of the smallest and the largest structure trained on; None: nobody says."""
        data = (self.data or {}).get("train")
        if data is None or not data.compositions:
            return None
        sizes = [
            sum(int(count or 1) for count in _COUNT.findall(formula))
            for formula in data.compositions
        ]
        return min(sizes), max(sizes)
