"""Proposed goldens: collected by a run, looked at by a person, accepted by one command."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlffd.errors import InputError
from mlffd.files import write_text_atomically
from mlffd.golden.records import (
    CountersRecord,
    DatasetRecord,
    EnvironmentEntry,
    Predictions,
    StudentGolden,
    StudentRecord,
)
from mlffd.golden.store import (
    describe_problems,
    read_student_record,
    write_record,
    write_student_record,
)

_FORMAT = "mlffd-proposals"


@dataclass(frozen=True, eq=False)
class StudentProposal:
    """A record and predictions that could become a student's golden."""

    record: StudentRecord
    predictions: Predictions

    @property
    def name(self) -> str:
        """Tells it from all others of a run."""
        return self.record.subject

    def as_dict(self) -> dict[str, Any]:
        """For JSON; floats survive exactly."""
        return {
            "record": self.record.model_dump(mode="json"),
            "predictions": {
                "names": list(self.predictions.names),
                "energy": self.predictions.energy.tolist(),
                "forces": self.predictions.forces.tolist(),
                "splits": self.predictions.splits.tolist(),
            },
        }


@dataclass(frozen=True, eq=False)
class RecordProposal:
    """A record, without arrays, that could become a data set's golden or a student's counters."""

    record: DatasetRecord | CountersRecord

    @property
    def name(self) -> str:
        """Tells it from all others of a run."""
        subject = self.record.subject
        return counters_name(subject) if isinstance(self.record, CountersRecord) else subject

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"record": self.record.model_dump(mode="json")}


Proposal = StudentProposal | RecordProposal


def counters_name(student: str) -> str:
    """What the golden counters of a student are called: its golden has its own name."""
    return f"{student} (counters)"


def accept(proposal: Proposal, path: Path, *, reason: str) -> None:
    """Make a proposal the golden at a path.

    Raises:
        InputError: no reason, or a prediction that is not finite.
    """
    if not reason.strip():
        raise InputError("a golden is accepted for a reason: --reason must say one")
    if isinstance(proposal, RecordProposal):
        record = proposal.record
        provenance = {**record.provenance, "reason": reason}
        write_record(path, record.model_copy(update={"provenance": provenance}))
        return
    if not proposal.predictions.is_finite():
        raise InputError(f"{proposal.record.subject}: predictions are not finite: not accepted")
    write_student_record(
        path, _with_history(proposal, read_student_record(path), reason), proposal.predictions
    )


def _with_history(
    proposal: StudentProposal, previous: StudentGolden | None, reason: str
) -> StudentRecord:
    """Add the reason and the previous values; keep entries of environments that still hold."""
    record = proposal.record
    environments = {}
    for key, entry in record.environments.items():
        before = previous.record.environments.get(key) if previous else None
        provenance = {
            **entry.provenance,
            "reason": reason,
            "previous": {n: m.value for n, m in before.metrics.items()} if before else None,
        }
        environments[key] = entry.model_copy(update={"provenance": provenance})
    if previous:
        kept = {
            key: entry
            for key, entry in previous.record.environments.items()
            if _still_holds(entry, previous, proposal)
        }
        environments = {**kept, **environments}
    return record.model_copy(update={"environments": environments})


def _still_holds(
    entry: EnvironmentEntry, previous: StudentGolden, proposal: StudentProposal
) -> bool:
    """Whether what is accepted is, to the entry's tolerance, what the entry was accepted for.

    The same weights predict something else when the code has changed.
    """
    old, new = previous.record, proposal.record
    if (old.weights, old.dataset, old.revision) != (new.weights, new.dataset, new.revision):
        return False
    energy, forces = previous.predictions.differences(proposal.predictions)
    tolerance = entry.predictions
    return bool((energy <= tolerance.energy_per_atom).all() and (forces <= tolerance.forces).all())


def write_proposals(path: Path, rows: Sequence[dict[str, Any]], *, expected: Sequence[str]) -> None:
    """Write what a run proposes.

    Args:
        path: of the JSON file.
        rows: `as_dict` of each proposal.
        expected: names of the proposals that the run should have made.

    Raises:
        ValueError: a value is not finite.
        InputError: the file cannot be written.
    """
    document = {"format": _FORMAT, "expected": sorted(expected), "proposals": list(rows)}
    write_text_atomically(path, json.dumps(document, allow_nan=False, indent=1) + "\n")


def read_proposals(path: Path) -> list[Proposal]:
    """Read what a run proposed.

    Raises:
        InputError: no proposals, or those of a run that did not finish.
    """
    try:
        document = _Document.model_validate_json(path.read_bytes())
        proposals = [row.proposal() for row in document.proposals]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(
            f"{path}: not proposals as `pytest --mlffd-propose` writes them: "
            f"{describe_problems(error)}"
        ) from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if missing := sorted(set(document.expected) - {p.name for p in proposals}):
        raise InputError(f"{path}: of an incomplete run, without: {', '.join(missing)}")
    return proposals


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Arrays(_Strict):
    names: tuple[str, ...]
    energy: list[float]
    forces: list[tuple[float, float, float]]
    splits: list[Annotated[int, Field(ge=0, lt=2**63)]]


class _StudentRow(_Strict):
    record: StudentRecord
    predictions: _Arrays

    def proposal(self) -> Proposal:
        if len(self.record.environments) != 1:
            raise InputError(f"{self.record.subject}: a run proposes for one environment")
        arrays = self.predictions
        return StudentProposal(
            self.record,
            Predictions(
                names=arrays.names,
                energy=np.array(arrays.energy, dtype=np.float64),
                forces=np.array(arrays.forces, dtype=np.float64).reshape(-1, 3),
                splits=np.array(arrays.splits, dtype=np.int64),
            ),
        )


class _RecordRow(_Strict):
    record: DatasetRecord | CountersRecord

    def proposal(self) -> Proposal:
        return RecordProposal(self.record)


class _Document(_Strict):
    format: Literal["mlffd-proposals"]
    expected: list[str]
    proposals: list[_StudentRow | _RecordRow]
