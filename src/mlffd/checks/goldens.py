"""What every check that needs a golden asks first."""

from mlffd.checks.evidence import Evidence
from mlffd.checks.subjects import GoldenSubject
from mlffd.verdicts import Verdict


def no_golden(subject: GoldenSubject) -> str | None:
    """Why golden checks do not concern a subject; None: they do."""
    if subject.golden_path is None:
        return "the settings name no golden record for it"
    return None


def missing_golden(subject: GoldenSubject) -> Evidence:
    """Of a subject whose settings name a golden that was never accepted."""
    return Evidence(
        Verdict.INVALID,
        f"{subject.golden_path}: missing; review and accept one with `mlffd golden accept`",
    )
