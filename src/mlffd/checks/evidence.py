"""Evidence: what a check measured, against which limits, and what follows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from mlffd.errors import InputError
from mlffd.verdicts import Verdict


@dataclass(frozen=True)
class Criterion:
    """One measured quantity and the most that it may be.

    Attributes:
        name: of the quantity; settings override limits by it.
        measured: not finite counts as over any limit.
        limit: the largest value that is still right.
        unit: of both.
    """

    name: str
    measured: float
    limit: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the measured value is within its limit."""
        return math.isfinite(self.measured) and self.measured <= self.limit

    @property
    def severity(self) -> float:
        """How far over (> 1) or under its limit: orders criteria of different units."""
        if not math.isfinite(self.measured):
            return math.inf
        if self.limit > 0:
            return self.measured / self.limit
        return 0.0 if self.holds else math.inf


@dataclass(frozen=True)
class Evidence:
    """What one check found out about one subject.

    Attributes:
        verdict: what follows.
        message: for a person: what was found, in one line.
        criteria: everything that was held against a limit.
        details: everything else worth knowing; plain JSON types.
        subject: whom it is about; filled in by the case that ran the check.
        check: which check; filled in likewise.
        noteworthy: its message is for a person even if it passes.
    """

    verdict: Verdict
    message: str
    criteria: tuple[Criterion, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    subject: str = ""
    check: str = ""
    noteworthy: bool = False

    @property
    def worst(self) -> Criterion | None:
        """The criterion furthest over its limit, or nearest to it."""
        return max(self.criteria, key=lambda c: c.severity, default=None)

    @property
    def failing(self) -> tuple[Criterion, ...]:
        """The criteria that do not hold."""
        return tuple(c for c in self.criteria if not c.holds)

    def with_limits(self, limits: Mapping[str, float]) -> Self:
        """The same measurements held against other limits.

        Limits have no say where none was measured, nor in a failure for another reason than a
        criterion that does not hold.

        Raises:
            InputError: a limit is named that this check does not have.
        """
        if not limits or self.verdict not in (Verdict.PASS, Verdict.FAIL):
            return self
        if unknown := set(limits) - {c.name for c in self.criteria}:
            raise InputError(
                f"{self.subject}.limits.{self.check}: unknown {sorted(unknown)}; "
                f"this check has: {', '.join(c.name for c in self.criteria)}"
            )
        criteria = tuple(replace(c, limit=limits.get(c.name, c.limit)) for c in self.criteria)
        fails_otherwise = self.verdict is Verdict.FAIL and not self.failing
        verdict = Verdict.FAIL if fails_otherwise else _verdict(criteria)
        return replace(self, criteria=criteria, verdict=verdict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: strict, so a value that is not finite becomes None."""
        worst = self.worst
        return {
            "subject": self.subject,
            "check": self.check,
            "verdict": str(self.verdict),
            "measured": _finite(worst.measured) if worst else None,
            "limit": _finite(worst.limit) if worst else None,
            "unit": worst.unit if worst else "",
            "message": self.message,
            "details": plain(
                {
                    **self.details,
                    "criteria": {
                        c.name: {"measured": c.measured, "limit": c.limit, "unit": c.unit}
                        for c in self.criteria
                    },
                }
            ),
        }


def judge(
    criteria: Sequence[Criterion], message: str, details: Mapping[str, Any] | None = None
) -> Evidence:
    """Evidence that passes if every criterion holds.

    Raises:
        ValueError: there is no criterion: such a check could not fail.
    """
    if not criteria:
        raise ValueError("a check without criteria cannot fail")
    return Evidence(_verdict(criteria), message, tuple(criteria), details or {})


def _verdict(criteria: Sequence[Criterion]) -> Verdict:
    return Verdict.PASS if all(c.holds for c in criteria) else Verdict.FAIL


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a check measured
    """Reduce to strict JSON types: arrays to lists, NaN to None, what JSON lacks to text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, float):
        return _finite(value)
    return value if value is None or isinstance(value, str | int) else str(value)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
