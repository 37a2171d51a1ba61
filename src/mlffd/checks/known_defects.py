"""Failures that are declared: tolerated up to a bound, and no longer than they are there."""

from dataclasses import replace

from mlffd.checks.evidence import Evidence
from mlffd.config import KnownDefect
from mlffd.verdicts import Verdict

#: A defect measured below this share of its bound is better than declared by a clear margin.
CLEAR_MARGIN = 0.5


def hold_against(evidence: Evidence, defect: KnownDefect) -> Evidence:
    """Judge evidence of a check whose failure is declared.

    Passes only if exactly the declared criteria fail, each within its bound and above half of it.
    A defect that is worse, better by a clear margin, or gone, fails: the declaration must follow.
    """
    if evidence.verdict is Verdict.PASS:
        return _fail(evidence, defect, "no longer fails: remove the declaration")
    # A bound is of a criterion: it says nothing of what failed for another reason.
    if evidence.verdict is not Verdict.FAIL or not evidence.failing:
        return evidence
    failing = {c.name: c for c in evidence.failing}
    if isinstance(defect.limit, dict):
        bounds = defect.limit
    elif len(failing) == 1:
        bounds = dict.fromkeys(failing, defect.limit)
    else:
        return _fail(evidence, defect, f"declare a limit for each of: {', '.join(failing)}")
    if undeclared := sorted(failing.keys() - bounds.keys()):
        return _fail(evidence, defect, f"also fails by: {', '.join(undeclared)}")
    if stale := sorted(bounds.keys() - failing.keys()):
        return _fail(evidence, defect, f"no longer fails by: {', '.join(stale)}")
    criteria = tuple(replace(c, limit=bounds.get(c.name, c.limit)) for c in evidence.criteria)
    bounded = replace(evidence, criteria=criteria)
    if over := [c.name for c in bounded.failing]:
        return _fail(bounded, defect, f"beyond its bound: {', '.join(over)}")
    better = [c.name for c in criteria if c.name in bounds and c.measured < CLEAR_MARGIN * c.limit]
    if better:
        return _fail(bounded, defect, f"much better than its bound, tighten: {', '.join(better)}")
    return replace(
        bounded,
        verdict=Verdict.PASS,
        message=f"known defect ({defect.reason}), within its bound: {evidence.message}",
        noteworthy=True,
    )


def _fail(evidence: Evidence, defect: KnownDefect, why: str) -> Evidence:
    message = f"known defect ({defect.reason}) {why}: {evidence.message}"
    return replace(evidence, verdict=Verdict.FAIL, message=message)
