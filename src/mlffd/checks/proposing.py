"""From a subject as it is now to a golden that could be accepted."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mlffd.checks.subjects import DatasetSubject, GoldenSubject, StudentSubject, Subject
from mlffd.environment import (
    command_line,
    describe_commit,
    describe_environment,
    environment_keys,
    now,
)
from mlffd.errors import InputError
from mlffd.golden.coverage import measure_coverage
from mlffd.golden.diff import counters_changes, dataset_changes, student_changes
from mlffd.golden.metrics import metric_records
from mlffd.golden.proposals import Proposal, RecordProposal, StudentProposal, counters_name
from mlffd.golden.records import (
    CountersRecord,
    DatasetRecord,
    EnvironmentEntry,
    PredictionTolerance,
    StudentRecord,
)
from mlffd.golden.residuals import residuals
from mlffd.performance.counting import torch_release
from mlffd.structures.dataset import Dataset

_PREDICTION_TOLERANCE = PredictionTolerance(
    energy_per_atom=1e-9,
    forces=1e-8,
    reason="float64 sums in another order (1-4 threads, batches of 1-91, reversed) differed by "
    "3e-14; other processors may differ by some hundred times that",
)


class Golden(NamedTuple):
    """One of the goldens that the settings name for a subject.

    Attributes:
        name: of what would be proposed for it.
        path: of its record.
        check: the one that has computed all that a proposal needs.
        propose: what it would be now.
    """

    name: str
    path: Path
    check: str
    propose: Callable[[], Proposal]


def goldens_of(subject: Subject) -> list[Golden]:
    """All goldens that the settings name for a subject."""
    found = []
    if isinstance(subject, GoldenSubject) and subject.golden_path is not None:
        check = "dataset_coverage" if isinstance(subject, DatasetSubject) else "matches_golden"
        make = partial(propose, subject)
        found.append(Golden(subject.name, subject.golden_path, check, make))
    if isinstance(subject, StudentSubject) and subject.counters_path is not None:
        name = counters_name(subject.name)
        make = partial(propose_counters, subject)
        found.append(Golden(name, subject.counters_path, "counters", make))
    return found


def propose(subject: GoldenSubject) -> Proposal:
    """What the golden of a subject would be now.

    Raises:
        InputError: the subject cannot be read, or no labels are there to compare with.
    """
    if isinstance(subject, DatasetSubject):
        return _propose_dataset(subject)
    return _propose_student(subject)


def propose_counters(subject: StudentSubject) -> Proposal:
    """What the golden counters of a student would be now.

    Raises:
        InputError: the checkpoint cannot be read, or cannot be counted on.
    """
    return RecordProposal(
        CountersRecord(
            subject=subject.name,
            torch=torch_release(),
            counters=subject.counters,
            provenance=_provenance("cpu", subject.counters_path),
        )
    )


def changes(subject: GoldenSubject, proposal: Proposal) -> list[str]:
    """What accepting the proposal would change, in lines for a person; [] if nothing."""
    if isinstance(subject, DatasetSubject):
        assert isinstance(proposal.record, DatasetRecord)
        return dataset_changes(subject.golden, proposal.record)
    if isinstance(proposal.record, CountersRecord):
        return counters_changes(subject.golden_counters, proposal.record)
    assert isinstance(proposal, StudentProposal)
    return student_changes(subject.golden, proposal, list(subject.dataset or ()))


def refuse_mismatch(subject: GoldenSubject, proposal: Proposal) -> None:
    """Refuse a proposal that was made from other files than those that are there now.

    Counters are of the program more than of the weights: those need not be the same.

    Raises:
        InputError: fingerprints of weights or data differ.
    """
    record = proposal.record
    if isinstance(subject, DatasetSubject) != isinstance(record, DatasetRecord):
        raise InputError(f"{subject.name}: proposed as a {record.kind}: not accepted")
    if isinstance(record, CountersRecord):
        return
    if isinstance(subject, DatasetSubject):
        assert isinstance(record, DatasetRecord)
        pairs = [("data", record.fingerprint, subject.dataset.fingerprint)]
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


def _propose_dataset(subject: DatasetSubject) -> RecordProposal:
    _refuse_empty(subject.dataset)
    coverage = measure_coverage(subject.dataset)
    if bad := [f"{n} is {v:g}" for n, v in coverage.typical.items() if not 0 < v < math.inf]:
        raise InputError(
            f"{subject.dataset.path}: {', '.join(bad)}: no golden can be made of it; see "
            "`mlffd data validate`"
        )
    return RecordProposal(
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
