"""Is the student still as accurate as when its golden was accepted?"""

from dataclasses import replace

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.goldens import no_golden
from mlffd.checks.matching import unusable_golden
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.environment import environment_keys
from mlffd.golden.breakdown import break_down
from mlffd.golden.compare import ROUNDING, Comparison, Status, compare_metrics
from mlffd.golden.residuals import residuals
from mlffd.verdicts import Verdict


@check("accuracy", concern="golden", kind=StudentSubject, unless=no_golden)
def check_accuracy(subject: StudentSubject) -> Evidence:
    """No metric against the labels is significantly worse than the golden's.

    Paired over structures: golden and present predictions are judged on the same structures, and
    a bootstrap over their molecules, or over structures where the names tell fewer than 20
    molecules, gives the interval of the change. A change is a regression if its whole 95% interval
    is for the worse. Judged are energies per atom (mean and root mean square error), forces (the
    same, over components) and the directions of forces above 0.1 eV/Å. The details hold more, with
    intervals: energies of each molecule relative to each other, R² of forces, stress; by element,
    size and kind of structure; and the ten worst structures.

    If this fails, it probably means that new weights are worse (less data, a lost element, an
    optimizer setting), or that energies lost their reference or their unit.
    """
    if (unusable := unusable_golden(subject)) is not None:
        return unusable
    assert subject.golden is not None and subject.dataset is not None
    structures = list(subject.dataset)
    found = residuals(structures, subject.predictions)
    key, entry = subject.golden.record.entry(environment_keys(subject.device))
    allowed = subject.limits.get("accuracy", {})
    comparisons = compare_metrics(
        entry.metrics,
        baseline=residuals(structures, subject.golden.predictions),
        candidate=found,
        allowed=allowed,
    )
    undecided = [c.metric for c in comparisons if c.status is Status.UNDECIDED]
    evidence = judge(
        [
            *(_criterion(c, allowed.get(c.metric, ROUNDING)) for c in comparisons),
            # Counted, so that no limit that lifts another metric lets these pass with it.
            Criterion("undecided", len(undecided), 0, "metrics"),
        ],
        "; ".join(_describe(c) for c in comparisons),
        {
            "environment": key,
            "dataset": subject.dataset.fingerprint,
            "metrics": {c.metric: c.as_dict() for c in comparisons},
            **break_down(found).as_dict(),
        },
    )
    statuses = {c.status for c in comparisons}
    if Status.MISSING in statuses:
        message = f"a metric has no golden, accept one: {evidence.message}"
        return replace(evidence, verdict=Verdict.INVALID, message=message)
    if [c.name for c in evidence.failing] == ["undecided"]:
        return replace(evidence, verdict=Verdict.INCONCLUSIVE)
    if evidence.verdict is Verdict.PASS and Status.IMPROVED in statuses:
        message = f"improved, accept a new golden: {evidence.message}"
        verdict = Verdict.FAIL if subject.strict else Verdict.PASS
        return replace(evidence, verdict=verdict, message=message, noteworthy=True)
    return evidence


def _criterion(comparison: Comparison, limit: float) -> Criterion:
    """The lower end of the change's interval must not be for the worse beyond what is allowed."""
    low = comparison.change.low if comparison.change else 0.0
    if comparison.status is Status.NON_FINITE:
        low = float("nan")
    if comparison.status is Status.UNDECIDED:
        low = 0.0  # not known to be worse; counted by itself
    return Criterion(comparison.metric, low, limit, "change")


def _describe(comparison: Comparison) -> str:
    text = f"{comparison.metric} {comparison.value:.4g} {comparison.unit}"
    if comparison.change is None:
        return f"{text} ({comparison.status})"
    text += f" ({comparison.status}, change {comparison.change.in_percent})"
    if comparison.status is Status.REGRESSED:
        text += ", and any significant loss is a regression"
    return text
