"""Figures of accuracy as people read them: in small units, with their intervals."""

from collections.abc import Mapping
from typing import NamedTuple

from mlffd.golden.bootstrap import Figure


class Column(NamedTuple):
    """A metric in a table.

    Attributes:
        metric: its name.
        title: what it is.
        unit: that it is shown in.
        scale: from the metric's unit to that one.
    """

    metric: str
    title: str
    unit: str
    scale: float = 1.0

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def cell(self, row: Mapping[str, Figure]) -> str:
        """The figure of a row, ``49.3 [24.2, 86.8]``; empty if there is none."""
        figure = row.get(self.metric)
        if figure is None:
            return ""
        value = f"{figure.value * self.scale:.3g}"
        if figure.low is None or figure.high is None:
            return value
        return f"{value} [{figure.low * self.scale:.3g}, {figure.high * self.scale:.3g}]"


COLUMNS = (
    Column("energy_mae_per_atom", "energy MAE", "meV/atom", 1e3),
    Column("energy_rmse_per_atom", "energy RMSE", "meV/atom", 1e3),
    Column("relative_energy_mae_per_atom", "relative energy MAE", "meV/atom", 1e3),
    Column("relative_energy_rmse_per_atom", "relative energy RMSE", "meV/atom", 1e3),
    Column("forces_mae", "force MAE", "eV/Å"),
    Column("forces_rmse", "force RMSE", "eV/Å"),
    Column("force_r2", "force R²", ""),
    Column("forces_angle", "force angle", "degrees"),
    Column("stress_mae", "stress MAE", "meV/Å³", 1e3),
)

_BY_METRIC = {column.metric: column for column in COLUMNS}


def columns(*metrics: str) -> list[Column]:
    """The columns of these metrics."""
    return [_BY_METRIC[metric] for metric in metrics]


#: What tells the parts of a data set apart.
BY_ATOMS = columns("forces_mae", "forces_rmse", "force_r2")
BY_STRUCTURES = columns("energy_mae_per_atom", "forces_mae", "forces_rmse", "force_r2")
#: What students are chosen by.
STANDINGS = columns(
    "energy_mae_per_atom",
    "relative_energy_mae_per_atom",
    "forces_mae",
    "forces_rmse",
    "force_r2",
    "forces_angle",
)


def count_of(row: Mapping[str, Figure]) -> str:
    """How many structures a row rests on."""
    return f"{max(figure.structures for figure in row.values()):,}"
