"""Proposed goldens: collected by a run, looked at by a person, accepted by one command."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from mlffd.errors import InputError
from mlffd.files import write_text_atomically
from mlffd.golden.records import DatasetRecord, Predictions, StudentGolden, StudentRecord
from mlffd.golden.store import read_student_record, write_dataset_record, write_student_record

_FORMAT = "mlffd-proposals"


@dataclass(frozen=True, eq=False)
class StudentProposal:
    """A record and predictions that could become a student's golden."""

    record: StudentRecord
    predictions: Predictions

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
class DatasetProposal:
    """A record that could become a data set's golden."""

    record: DatasetRecord

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"record": self.record.model_dump(mode="json")}


Proposal = StudentProposal | DatasetProposal


def accept(proposal: Proposal, path: Path, *, reason: str) -> None:
    """Make a proposal the golden at a path.

    Raises:
        InputError: no reason, or a prediction that is not finite.
    """
    if not reason.strip():
        raise InputError("a golden is accepted for a reason: --reason must say one")
    if isinstance(proposal, DatasetProposal):
        record = proposal.record
        provenance = {**record.provenance, "reason": reason}
        write_dataset_record(path, record.model_copy(update={"provenance": provenance}))
        return
    if not proposal.predictions.is_finite():
        raise InputError(f"{proposal.record.subject}: predictions are not finite: not accepted")
    write_student_record(
        path,
        _with_history(proposal.record, read_student_record(path), reason),
        proposal.predictions,
    )


def _with_history(
    record: StudentRecord, previous: StudentGolden | None, reason: str
) -> StudentRecord:
    """Add the reason and the previous values; keep entries of environments that still hold."""
    environments = {}
    for key, entry in record.environments.items():
        before = previous.record.environments.get(key) if previous else None
        provenance = {
            **entry.provenance,
            "reason": reason,
            "previous": {n: m.value for n, m in before.metrics.items()} if before else None,
        }
        environments[key] = entry.model_copy(update={"provenance": provenance})
    if previous and (previous.record.weights, previous.record.dataset) == (
        record.weights,
        record.dataset,
    ):
        environments = {**previous.record.environments, **environments}
    return record.model_copy(update={"environments": environments})


def write_proposals(path: Path, rows: Sequence[dict[str, Any]], *, expected: Sequence[str]) -> None:
    """Write what a run proposes.

    Args:
        path: of the JSON file.
        rows: `as_dict` of each proposal.
        expected: subjects that the run should have proposed for.
    """
    document = {"format": _FORMAT, "expected": sorted(expected), "proposals": list(rows)}
    write_text_atomically(path, json.dumps(document, allow_nan=True, indent=1) + "\n")


def read_proposals(path: Path) -> list[Proposal]:
    """Read what a run proposed.

    Raises:
        InputError: no proposals, or those of a run that did not finish.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise InputError(f"{path}: not proposals; `pytest --mlffd-propose` writes them")
    try:
        proposals = [_from_dict(row) for row in document["proposals"]]
        expected = set(document["expected"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise InputError(f"{path}: damaged proposals: {error}") from error
    if missing := sorted(expected - {p.record.subject for p in proposals}):
        raise InputError(f"{path}: of an incomplete run, without: {', '.join(missing)}")
    return proposals


def _from_dict(row: dict[str, Any]) -> Proposal:
    if row["record"]["kind"] == "dataset":
        return DatasetProposal(DatasetRecord.model_validate(row["record"]))
    arrays = row["predictions"]
    return StudentProposal(
        StudentRecord.model_validate(row["record"]),
        Predictions(
            names=tuple(arrays["names"]),
            energy=np.array(arrays["energy"], dtype=np.float64),
            forces=np.array(arrays["forces"], dtype=np.float64).reshape(-1, 3),
            splits=np.array(arrays["splits"], dtype=np.int64),
        ),
    )
