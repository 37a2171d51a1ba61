"""Faults of goldens: what a student is held against is not what it should be."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from mlffd.checks.proposing import propose
from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import scaled, with_prediction
from mlffd.golden.proposals import accept
from mlffd.golden.store import write_student_record


def _copied(healthy: Healthy) -> StudentSubject:
    """The student with a copy of its golden, whose record and arrays are beside each other."""
    subject = healthy.student()
    assert subject.golden_path is not None
    folder = healthy.path("")
    folder.mkdir()
    for path in subject.golden_path.parent.glob(f"{subject.golden_path.stem}*"):
        shutil.copyfile(path, folder / path.name)
    return replace(subject, golden_path=folder / subject.golden_path.name)


def _edited(healthy: Healthy, edit: Callable[[dict[str, Any]], None]) -> StudentSubject:
    """The student with a golden whose record was edited by hand."""
    subject = _copied(healthy)
    assert subject.golden_path is not None
    record = json.loads(subject.golden_path.read_text(encoding="utf-8"))
    edit(record)
    subject.golden_path.write_text(json.dumps(record), encoding="utf-8")
    return subject


@fault(refused_by=["matches_golden", "accuracy"])
def golden_of_another_student(healthy: Healthy) -> Iterator[StudentSubject]:
    """A student is held against the golden of another one.

    Records that are copied when a student is added, and not made anew.
    """
    subject = healthy.student()
    subject.name = "another"
    yield subject


@fault(refused_by=["matches_golden", "accuracy"])
def golden_missing(healthy: Healthy) -> Iterator[StudentSubject]:
    """The golden was never committed.

    A file that git ignores; a check that passes without it checks nothing.
    """
    yield replace(healthy.student(), golden_path=healthy.path(".json"))


@fault(caught_by=["matches_golden"], sizes=[1e-9, 1e-8, 1e-7, 1e-6, 1e-4], unit="eV/Å", limit=1e-7)
def golden_of_another_branch(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """One force of the golden predictions is another.

    Records that two branches accepted, merged as they came.
    """
    subject = _copied(healthy)
    golden = subject.golden
    assert golden is not None and subject.golden_path is not None
    forces = golden.predictions.forces.copy()
    forces[0, 0] += size
    write_student_record(
        subject.golden_path, golden.record, replace(golden.predictions, forces=forces)
    )
    yield replace(subject)


@fault(refused_by=["matches_golden", "accuracy"])
def golden_tolerance_widened(healthy: Healthy) -> Iterator[StudentSubject]:
    """The tolerance of a golden is so wide that it hides any change.

    The quickest way to make a red test green; some tests of published potentials allow 15 eV.
    """

    def widen(record: dict[str, Any]) -> None:
        for entry in record["environments"].values():
            entry["predictions"]["energy_per_atom"] = 1.0

    yield _edited(healthy, widen)


@fault(refused_by=["matches_golden", "accuracy"])
def golden_edited_by_hand(healthy: Healthy) -> Iterator[StudentSubject]:
    """The record names other predictions than those beside it.

    A merge that took the record of one branch and the arrays of the other.
    """

    def edit(record: dict[str, Any]) -> None:
        record["predictions_sha256"] = "0" * 64

    yield _edited(healthy, edit)


@fault(caught_by=["forces_are_gradient"])
def golden_of_the_broken_student(healthy: Healthy) -> Iterator[StudentSubject]:
    """Forces became wrong, and the golden was recorded anew.

    A red test that is made green by accepting: predictions match again, and only physics, which
    needs no golden, still tells.
    """
    subject = with_prediction(_copied(healthy), lambda batch, p: scaled(p, forces=1.01))
    assert subject.golden_path is not None
    accept(propose(subject), subject.golden_path, reason="it was red")
    yield subject


@fault(refused_by=["matches_golden", "accuracy"])
def data_set_reordered(healthy: Healthy) -> Iterator[StudentSubject]:
    """The data set is in another order than when the golden was made.

    Predictions are compared by position: each would be held against that of another structure.
    """
    structures = [healthy.structures[-1], *healthy.structures[:-1]]
    path = healthy.dataset(structures).path
    yield replace(healthy.student(), dataset_path=path)
