"""What ``mlffd.toml`` says about exports."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlffd.setting_values import FilePath, Limit, Picoseconds

Reason = Annotated[str, Field(min_length=1)]
Precisions = Annotated[tuple[str, ...], Field(min_length=1)]


class BudgetSettings(BaseModel):
    """What a precision lower than float32 may cost, as `precision_budget` judges it.

    Energies and forces are relative to what the student itself is wrong by; the energy in dynamics
    may drift as much as the student's.

    Attributes:
        force_rmse: how much the RMSE of forces may grow; 0.05 is by a twentieth.
        energy_rmse: how much the RMSE of energies per atom may grow.
        dataset: name of the data set to measure on; None: that of each student.
        nve_picoseconds: length of the dynamics, 0.05 to 1000.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    force_rmse: Limit = 0.05
    energy_rmse: Limit = 0.05
    dataset: str | None = None
    nve_picoseconds: Picoseconds = 0.25


class ExportSettings(BaseModel):
    """Which files `mlffd export --all` makes of every student.

    Every other key is a format, with the list of precisions that it is exported in, such as
    ``onnx = ["fp32", "fp64"]``; `mlffd.export.all_exports.plan` knows which formats there are.

    Attributes:
        folder: where the files are; made if it is not there.
        unsupported: why a format cannot be had in a precision, by ``<format>-<precision>``. It is
            tried all the same: a declaration that is out of date is a failure.
        budget: what precisions lower than float32 may cost.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Precisions] = Field(init=False)

    folder: FilePath = Path("exports")
    unsupported: dict[str, Reason] = {}
    budget: BudgetSettings = BudgetSettings()

    @property
    def precisions(self) -> dict[str, tuple[str, ...]]:
        """By name of the format."""
        return self.__pydantic_extra__
