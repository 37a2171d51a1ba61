"""Several students on one data set, side by side."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from mlffd.checks.evidence import plain
from mlffd.checks.subjects import StudentSubject
from mlffd.errors import InputError
from mlffd.golden.breakdown import Breakdown, break_down
from mlffd.golden.compare import Comparison, Status, compare_metrics
from mlffd.golden.metrics import metric_records
from mlffd.golden.records import Metric
from mlffd.golden.residuals import Residuals, residuals
from mlffd.structures.dataset import Dataset

#: Statuses of a difference that is no accident.
SIGNIFICANT = (Status.REGRESSED, Status.IMPROVED)


class Rivalry(NamedTuple):
    """One student held against another, in pairs over the structures.

    Attributes:
        first: name of the baseline: that with the smaller RMSE of forces.
        second: name of the one that is held against it.
        comparisons: metric by metric.
    """

    first: str
    second: str
    comparisons: Sequence[Comparison]


@dataclass(frozen=True)
class Standings:
    """Students on one data set, the smallest RMSE of forces first.

    Attributes:
        dataset: path of the labelled structures.
        fingerprint: of the data set.
        teacher: the method that made the labels: errors are differences from it.
        parameters: of each student, by name.
        accuracy: of each student, by name, in order.
        rivalries: each pair.
    """

    dataset: str
    fingerprint: str
    teacher: str
    parameters: Mapping[str, int]
    accuracy: Mapping[str, Breakdown]
    rivalries: Sequence[Rivalry]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = plain(
            {
                "dataset": self.dataset,
                "fingerprint": self.fingerprint,
                "teacher": self.teacher,
                "students": {
                    name: {"parameters": self.parameters[name], **found.as_dict()}
                    for name, found in self.accuracy.items()
                },
                "pairs": [
                    {
                        "baseline": r.first,
                        "candidate": r.second,
                        "metrics": {c.metric: c.as_dict() for c in r.comparisons},
                    }
                    for r in self.rivalries
                ],
            }
        )
        return document


def compare_all(students: Iterable[StudentSubject]) -> list[Standings]:
    """Standings for each data set that two students or more can be judged on.

    A student whose errors are not finite has no place among the others.

    Args:
        students: those without a data set are left out.
    """
    groups: dict[str, list[StudentSubject]] = {}
    for student in students:
        if student.dataset_path is not None:
            groups.setdefault(os.path.realpath(student.dataset_path), []).append(student)
    standings = [_standings(group) for group in groups.values() if len(group) > 1]
    return [s for s in standings if len(s.accuracy) > 1]


def _standings(students: Sequence[StudentSubject]) -> Standings:
    dataset = students[0].dataset
    assert dataset is not None
    structures = list(dataset)
    found: dict[str, Residuals] = {}
    records: dict[str, dict[str, Metric]] = {}
    for student in students:
        errors = residuals(structures, student.predictions)
        try:
            records[student.name] = metric_records(errors)
        except InputError:
            continue
        found[student.name] = errors
    order = sorted(found, key=lambda name: records[name]["forces_rmse"].value)
    return Standings(
        dataset=str(dataset.path),
        fingerprint=dataset.fingerprint,
        teacher=teacher_of(dataset),
        parameters={s.name: s.checkpoint.parameter_count for s in students},
        accuracy={name: break_down(found[name]) for name in order},
        rivalries=[
            Rivalry(a, b, compare_metrics(records[a], found[a], found[b]))
            for a, b in combinations(order, 2)
        ],
    )


def teacher_of(dataset: Dataset) -> str:
    """The method that made the labels, as the metadata say."""
    method = dataset.metadata.get("method")
    return str(method) if method else "the labels"
