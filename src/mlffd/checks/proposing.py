"""From a subject as it is now to a golden that could be accepted."""

import math
from pathlib import Path
from typing import Any

from mlffd.checks.subjects import DatasetSubject, GoldenSubject, StudentSubject
from mlffd.environment import (
    command_line,
    describe_commit,
    describe_environment,
    environment_keys,
    now,
)
from mlffd.errors import InputError
from mlffd.golden.coverage import measure_coverage
from mlffd.golden.diff import dataset_changes, student_changes
from mlffd.golden.metrics import metric_records
from mlffd.golden.proposals import DatasetProposal, Proposal, StudentProposal
from mlffd.golden.records import (
    DatasetRecord,
    EnvironmentEntry,
    PredictionTolerance,
    StudentRecord,
)
from mlffd.golden.residuals import residuals
from mlffd.structures.dataset import Dataset

_PREDICTION_TOLERANCE = PredictionTolerance(
    energy_per_atom=1e-9,
    forces=1e-8,
    reason="float64 sums in another order (1-4 threads, batches of 1-91, reversed) differed by "
    "3e-14; other processors may differ by some hundred times that",
)


def propose(subject: GoldenSubject) -> Proposal:
    """What the golden of a subject would be now.

    Raises:
        InputError: the subject cannot be read, or no labels are there to compare with.
    """
    if isinstance(subject, DatasetSubject):
        return _propose_dataset(subject)
    return _propose_student(subject)


def changes(subject: GoldenSubject, proposal: Proposal) -> list[str]:
    """What accepting the proposal would change, in lines for a person; [] if nothing."""
    if isinstance(subject, DatasetSubject):
        assert isinstance(proposal, DatasetProposal)
        return dataset_changes(subject.golden, proposal.record)
    assert isinstance(proposal, StudentProposal)
    return student_changes(subject.golden, proposal, list(subject.dataset or ()))


def refuse_mismatch(subject: GoldenSubject, proposal: Proposal) -> None:
    """Refuse a proposal that was made from other files than those that are there now.

    Raises:
        InputError: fingerprints of weights or data differ.
    """
    if isinstance(subject, DatasetSubject) != isinstance(proposal, DatasetProposal):
        raise InputError(f"{subject.name}: proposed as a {proposal.record.kind}: not accepted")
    if isinstance(subject, DatasetSubject):
        assert isinstance(proposal, DatasetProposal)
        pairs = [("data", proposal.record.fingerprint, subject.dataset.fingerprint)]
    else:
        assert isinstance(proposal, StudentProposal) and subject.dataset is not None
        pairs = [
            ("weights", proposal.record.weights, subject.checkpoint.fingerprint),
            ("data", proposal.record.dataset, subject.dataset.fingerprint),
        ]
    for what, proposed, found in pairs:
        if proposed != found:
            raise InputError(
                f"{subject.name}: proposed for {what} {proposed[:19]}, but here they are "
                f"{found[:19]}: not accepted"
            )


def _provenance(device: str, golden: Path | None) -> dict[str, Any]:
    """How a golden came about; the commit is that of the repository that keeps it."""
    return {
        "date": now(),
        "command": command_line(),
        **describe_commit(Path.cwd() if golden is None else golden.parent),
        **describe_environment(device),
    }


def _refuse_empty(dataset: Dataset) -> None:
    if not len(dataset):
        raise InputError(f"{dataset.path}: no structures: nothing to make a golden with")


def _propose_student(subject: StudentSubject) -> StudentProposal:
    if subject.dataset is None:
        raise InputError(f"{subject.name}: no data set to make a golden with")
    _refuse_empty(subject.dataset)
    structures = list(subject.dataset)
    predictions = subject.predictions
    if not predictions.is_finite():
        raise InputError(f"{subject.name}: predictions are not finite: nothing to propose")
    found = residuals(structures, predictions)
    try:
        metrics = metric_records(found)
    except InputError as error:
        raise InputError(
            f"{subject.dataset.path}: {error} for {subject.name}: nothing to propose; `mlffd data "
            "validate` shows labels that are not finite"
        ) from error
    entry = EnvironmentEntry(
        metrics=metrics,
        predictions=_PREDICTION_TOLERANCE,
        provenance=_provenance(subject.device, subject.golden_path),
    )
    record = StudentRecord(
        subject=subject.name,
        weights=subject.checkpoint.fingerprint,
        dataset=subject.dataset.fingerprint,
        revision=subject.checkpoint.revision,
        environments={environment_keys(subject.device)[0]: entry},
        predictions_file="unwritten.npz",  # both are filled in when the record is written
        predictions_sha256="0" * 64,
    )
    return StudentProposal(record, predictions)


def _propose_dataset(subject: DatasetSubject) -> DatasetProposal:
    _refuse_empty(subject.dataset)
    coverage = measure_coverage(subject.dataset)
    if bad := [f"{n} is {v:g}" for n, v in coverage.typical.items() if not 0 < v < math.inf]:
        raise InputError(
            f"{subject.dataset.path}: {', '.join(bad)}: no golden can be made of it; see "
            "`mlffd data validate`"
        )
    return DatasetProposal(
        DatasetRecord(
            subject=subject.name,
            fingerprint=subject.dataset.fingerprint,
            structures=len(subject.dataset),
            kinds=coverage.kinds,
            largest=coverage.largest,
            elements=coverage.elements,
            typical=coverage.typical,
            provenance=_provenance("cpu", subject.golden_path),
        )
    )
