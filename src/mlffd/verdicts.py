"""What follows from a measurement, and the exit code that says so."""

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What follows from a measurement."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """Measured, but not enough to decide."""
    INVALID = "invalid"
    """Could not be measured."""


WORST_FIRST = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.PASS)

EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INVALID: 3, Verdict.INCONCLUSIVE: 3}


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst verdict; invalid if there is none: no evidence is no pass."""
    found = set(verdicts)
    return next((v for v in WORST_FIRST if v in found), Verdict.INVALID)
