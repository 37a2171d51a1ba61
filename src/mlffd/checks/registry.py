"""The checks that mlffd knows, and what each is about."""

from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeVar

from mlffd.checks.evidence import Evidence
from mlffd.checks.subjects import Subject

_MEANING = "If this fails, it probably means"

CONCERNS = ("loading", "golden", "physics", "exports", "data", "speed")

S = TypeVar("S", bound=Subject)


@dataclass(frozen=True)
class Check:
    """A registered check.

    Attributes:
        name: public; in reports, JSON and settings.
        concern: one of `CONCERNS`; can be selected by, and is a pytest marker.
        kind: the class of subjects that it is about, or several.
        function: measures.
        unless: gives the reason why the check does not concern a subject, or None if it does.
    """

    name: str
    concern: str
    kind: type[Any] | UnionType
    function: Callable[[Any], Evidence]
    unless: Callable[[Any], str | None]

    @property
    def meaning(self) -> str:
        """What a failure probably means: from the check's docstring, in one line."""
        text = self.function.__doc__ or ""
        return " ".join(text[text.index(_MEANING) :].split())


_CHECKS: dict[str, Check] = {}


def check(
    name: str,
    *,
    concern: str,
    kind: type[S] | UnionType,
    unless: Callable[[S], str | None] = lambda subject: None,
) -> Callable[[Callable[[S], Evidence]], Callable[[S], Evidence]]:
    """Function decorator: register a check. The order of registration is the order of reports."""
    if concern not in CONCERNS:
        raise ValueError(f"concern {concern!r}, expected one of {CONCERNS}")

    def add(function: Callable[[S], Evidence]) -> Callable[[S], Evidence]:
        if name in _CHECKS:
            raise ValueError(f"check {name!r} is registered twice")
        if _MEANING not in (function.__doc__ or ""):
            raise ValueError(f"check {name!r} does not say what a failure probably means")
        _CHECKS[name] = Check(name, concern, kind, function, unless)
        return function

    return add


def all_checks() -> tuple[Check, ...]:
    """Every registered check, by concern."""
    return tuple(sorted(_CHECKS.values(), key=lambda c: CONCERNS.index(c.concern)))
