"""What a golden record says."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from mlffd.errors import InputError

Finite = Annotated[float, Field(allow_inf_nan=False)]
Tolerance = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: Of a file beside the record, never of one elsewhere.
FileName = Annotated[str, Field(pattern=r"^[^/\\]+\.npz$")]
Fingerprint = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Strict):
    """One figure of merit.

    Attributes:
        value: in ``unit``.
        unit: of the value.
        direction: which way is better; of all of today's metrics, lower.
        reduction: exactly what was averaged over what.
        n: how many structures it rests on.
        tolerance: relative; a change whose interval reaches further for the worse than this
            has not been measured well enough to pass.
        tolerance_reason: why that much.
    """

    value: Finite
    unit: str
    direction: Literal["lower"]
    reduction: str
    n: PositiveInt
    tolerance: Tolerance
    tolerance_reason: str


class PredictionTolerance(_Strict):
    """How far predictions of the same weights may be from the golden ones.

    Attributes:
        energy_per_atom: eV per atom, worst structure.
        forces: eV/Å, worst component.
        reason: why that much.
    """

    # More than rounding can ever be is not rounding, whatever the reason says.
    energy_per_atom: Annotated[Tolerance, Field(le=1e-6)]
    forces: Annotated[Tolerance, Field(le=1e-5)]
    reason: str


class EnvironmentEntry(_Strict):
    """What holds in one kind of environment (``cpu``, ``cuda``, ``cuda:sm_90``)."""

    metrics: dict[str, Metric]
    predictions: PredictionTolerance
    provenance: dict[str, Any]


class StudentRecord(_Strict):
    """The golden of a student.

    Attributes:
        format_version: of this layout.
        kind: which record this is.
        subject: the student's name.
        weights: fingerprint of the weights.
        dataset: fingerprint of the labelled structures.
        revision: of the student's function.
        environments: by key.
        predictions_file: name of the arrays' file, beside the record.
        predictions_sha256: of that file.
    """

    format_version: Literal[1] = 1
    kind: Literal["student"] = "student"
    subject: str
    weights: Fingerprint
    dataset: Fingerprint
    revision: PositiveInt
    environments: dict[str, EnvironmentEntry]
    predictions_file: FileName
    predictions_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def entry(self, keys: tuple[str, ...]) -> tuple[str, EnvironmentEntry]:
        """The most specific entry for an environment, and its key.

        An environment without an entry of its own is held against the CPU's: the reference is
        float64 eager everywhere. The caller reports which key was used.

        Raises:
            InputError: there is no entry, not even for the CPU.
        """
        for key in (*keys, "cpu"):
            if key in self.environments:
                return key, self.environments[key]
        raise InputError(
            f"golden of {self.subject}: no entry for {', '.join(keys)} or cpu; "
            f"there: {', '.join(self.environments) or 'none'}"
        )


class ElementCount(_Strict):
    """How often an element occurs in a data set."""

    atoms: PositiveInt
    structures: PositiveInt


class DatasetRecord(_Strict):
    """The golden of a labelled data set: what it covered when it was reviewed.

    Attributes:
        format_version: of this layout.
        kind: which record this is.
        subject: the data set's name.
        fingerprint: of its content.
        structures: how many.
        kinds: how many of them are of each kind, see `mlffd.golden.coverage.Coverage`.
        largest: atoms of the largest.
        elements: by chemical symbol.
        typical: figures whose size shows a wrong unit, see the same.
        provenance: where, when, why.
    """

    format_version: Literal[1] = 1
    kind: Literal["dataset"] = "dataset"
    subject: str
    fingerprint: Fingerprint
    structures: PositiveInt
    kinds: dict[str, NonNegativeInt]
    largest: PositiveInt
    elements: dict[str, ElementCount]
    typical: dict[str, Tolerance]
    provenance: dict[str, Any]


class CountersRecord(_Strict):
    """The golden of what a student costs, in counts; see `mlffd.golden.counters`.

    Attributes:
        format_version: of this layout.
        kind: which record this is.
        subject: the student's name.
        torch: release of PyTorch that was counted in; every other one has its own operators.
        counters: by what they are of, and by name.
        provenance: where, when, why.
    """

    format_version: Literal[1] = 1
    kind: Literal["counters"] = "counters"
    subject: str
    torch: Annotated[str, Field(min_length=1)]
    counters: dict[str, dict[str, NonNegativeInt]]
    provenance: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one structure or more.

    Attributes:
        names: of the M structures, in the data set's order.
        energy: eV, float64 ``[M]``.
        forces: eV/Å, float64 ``[sum N, 3]``.
        splits: int64 ``[M + 1]``, where each structure's forces begin and end.
        stress: eV/Å³, float64 ``[M, 3, 3]``, not a number for structures without a volume; None
            if it was not asked for. Goldens do not keep it.

    Raises:
        InputError: there is no structure, or the shapes do not fit together.
    """

    names: tuple[str, ...]
    energy: NDArray[np.float64]
    forces: NDArray[np.float64]
    splits: NDArray[np.int64]
    stress: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        if (
            not count
            or self.energy.shape != (count,)
            or self.splits.shape != (count + 1,)
            or self.splits[0] != 0
            or (np.diff(self.splits) < 1).any()
            or self.forces.shape != (self.splits[-1], 3)
            or (self.stress is not None and self.stress.shape != (count, 3, 3))
        ):
            raise InputError(
                f"golden predictions: names {count}, energy {self.energy.shape}, forces "
                f"{self.forces.shape} and splits {self.splits.shape} do not fit together"
            )

    @classmethod
    def concatenate(
        cls,
        names: list[str],
        energies: list[float],
        forces: list[NDArray[np.float64]],
        stresses: list[NDArray[np.float64]] | None = None,
    ) -> Self:
        """From values structure by structure."""
        counts = [len(f) for f in forces]
        return cls(
            names=tuple(names),
            energy=np.array(energies, dtype=np.float64),
            forces=np.concatenate(forces),
            splits=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            stress=None if stresses is None else np.stack(stresses),
        )

    def __len__(self) -> int:
        return len(self.names)

    def forces_of(self, index: int) -> NDArray[np.float64]:
        """Forces of one structure, eV/Å, ``[N, 3]``."""
        return self.forces[self.splits[index] : self.splits[index + 1]]

    def differences(self, other: Self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How far predictions of the same structures are apart, structure by structure.

        Returns:
            eV per atom ``[M]``, and eV/Å, worst component ``[M]``; NaN where either has NaN.

        Raises:
            InputError: the structures are not the same, as far as their sizes tell.
        """
        if not np.array_equal(self.splits, other.splits):
            raise InputError("predictions are of structures of other sizes")
        energy = np.abs(other.energy - self.energy) / np.diff(self.splits)
        components = np.abs(other.forces - self.forces).max(axis=1)
        return energy, np.maximum.reduceat(components, self.splits[:-1])

    def is_finite(self) -> bool:
        """Whether every value is a number."""
        return bool(np.isfinite(self.energy).all() and np.isfinite(self.forces).all())


@dataclass(frozen=True, eq=False)
class StudentGolden:
    """A student's record with its predictions."""

    record: StudentRecord
    predictions: Predictions
