"""Does an exported file mean the same as its checkpoint: at all, and at every size?"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from mlffd.checks import foreign
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.foreign import ForeignSubject
from mlffd.checks.registry import check
from mlffd.errors import InputError, MissingPackageError
from mlffd.export.deviations import UNITS, worst
from mlffd.export.equivalence import Outcome, concurrent
from mlffd.export.manifest import Deviation, require_intact
from mlffd.verdicts import Verdict

AnyArtifact = ArtifactSubject | ForeignSubject

#: What is wrong at usual sizes may be so many times larger at others for the same reason.
_SAME_REASON = 10


@check("artifact_loads", concern="exports", kind=AnyArtifact)
def check_artifact_loads(subject: AnyArtifact) -> Evidence:
    """The file is intact, an export of its checkpoint as that is now, and its runtime opens it.

    If this fails, it probably means that the checkpoint was trained anew and not exported again,
    that the file is of another student, that it was damaged or edited after it was exported, or
    that this version of the runtime cannot run it. The message says which. The other checks of
    exports then have nothing to compare and are invalid.
    """
    if isinstance(subject, ForeignSubject):
        return foreign.loads(subject)
    subject.checkpoint  # noqa: B018 - what cannot be read is no fault of the file
    problems = list(_problems(subject))
    if problems:
        return judge([Criterion("failures", len(problems), 0)], "; ".join(problems))
    manifest = subject.manifest
    return judge(
        [Criterion("failures", 0, 0)],
        f"{manifest.student} as {manifest.format}, {manifest.precision}: {manifest.size:,} bytes",
        _identity(subject),
    )


def _problems(subject: ArtifactSubject) -> Iterator[str]:
    try:
        manifest = subject.manifest
    except InputError as error:
        yield str(error)
        return
    yield from subject.disagreements
    try:
        require_intact(subject.path, manifest)
    except InputError as error:
        yield str(error)
        return  # nobody knows what would be opened
    try:
        potential = subject.potential
    except MissingPackageError:
        raise
    except InputError as error:
        yield str(error)
    except Exception as error:  # whatever a runtime raises at a file that it does not take
        yield f"{subject.path}: its runtime raises {type(error).__name__}: {error}"
    else:
        if potential.device.type != torch.device(subject.device).type:
            yield f"runs on {potential.device}, expected {subject.device}"


@check("artifact_matches", concern="exports", kind=AnyArtifact)
def check_artifact_matches(subject: AnyArtifact) -> Evidence:
    """At usual sizes the file predicts what its checkpoint does in eager float64.

    Molecules alone and in batches, cells smaller than the cutoff, larger and skewed ones; all of
    even numbers of atoms. Both see the same numbers. Energies per atom, forces and the virial are
    within the tolerance of the manifest, or of the precision where that is narrower; so are
    repeated evaluations among themselves, and two threads at once. A batch that raises an error is
    reported, and counts in `artifact_dynamic_shapes`.

    If this fails, it probably means that the exporter translated an operation wrongly (a sum that
    drops contributions, a gradient at zero), that a layer has a lower precision than is stated, or
    that the runtime optimizes something away, shares its buffers or races between threads.
    """
    if isinstance(subject, ForeignSubject):
        return foreign.matches(subject)
    cases, tolerance = subject.usual, subject.tolerance
    ran = {name: outcome for name, outcome in cases.items() if outcome.error is None}
    raised = {name: outcome.error for name, outcome in cases.items() if outcome.error is not None}
    if not ran:
        name, error = next(iter(raised.items()))
        return Evidence(
            Verdict.INVALID,
            f"no batch of usual size runs, see artifact_dynamic_shapes; {name}: {error}",
            details=_identity(subject),
        )
    again = subject.repeated
    threads = concurrent(subject.potential, [c for c in subject.cases if c.name in ran])
    notes = [
        *(f"{what}: {o.error}" for what, o in (("repeat", again), ("threads", threads)) if o.error),
        *([f"not evaluated, see artifact_dynamic_shapes: {', '.join(raised)}"] if raised else []),
    ]
    evidence = judge(
        [
            *_criteria(worst(o.deviation for o in ran.values()), tolerance),
            Criterion("repeat", _in_tolerances(again.deviation, tolerance), 1.0, "tolerances"),
            Criterion("threads", _in_tolerances(threads.deviation, tolerance), 1.0, "tolerances"),
        ],
        "; ".join([_message(ran, tolerance), *notes]),
        {**_identity(subject), "cases": _table(cases)},
    )
    return replace(evidence, noteworthy=bool(raised))


@check("artifact_dynamic_shapes", concern="exports", kind=AnyArtifact)
def check_artifact_dynamic_shapes(subject: AnyArtifact) -> Evidence:
    """The file does at every other size what it does at usual ones.

    One, two and three atoms, odd and even molecules, 187 and 1,000 atoms, 65 structures; no edges
    at all; isolated atoms first, in the middle and last in a batch; odd cells. Judged as in
    `artifact_matches`; a batch of any size that raises an error counts here. Inconclusive if the
    file is as wrong at usual sizes, or does not repeat itself: sizes may then not be the reason.

    If this fails, it probably means that the exporter baked the sizes of its example into the
    graph, that a kernel mishandles a remainder (odd numbers of atoms) or an empty list, or that a
    result of an earlier, larger batch is left over.
    """
    if isinstance(subject, ForeignSubject):
        return foreign.shapes(subject)
    tolerance = subject.tolerance
    cases = {
        **{name: outcome for name, outcome in subject.usual.items() if outcome.error is not None},
        **subject.unusual,
    }
    limits = subject.limits.get("artifact_dynamic_shapes", {})
    errors = [f"{name}: {outcome.error}" for name, outcome in cases.items() if outcome.error]
    evidence = judge(
        [
            replace(criterion, limit=limits.get(criterion.name, criterion.limit))
            for criterion in _criteria(worst(o.deviation for o in cases.values()), tolerance)
        ],
        errors[0] + _more(errors) if errors else _message(cases, tolerance),
        {**_identity(subject), "cases": _table(cases)},
    )
    if not evidence.failing or errors or not _is_wrong_anyway(subject, evidence):
        return evidence
    return replace(
        evidence,
        verdict=Verdict.INCONCLUSIVE,
        message=f"as wrong at usual sizes, see artifact_matches: {evidence.message}",
    )


def _is_wrong_anyway(subject: ArtifactSubject, evidence: Evidence) -> bool:
    """Whether all that fails at unusual sizes may have another reason than the sizes."""
    if _in_tolerances(subject.repeated.deviation, subject.tolerance) > 1:
        return True  # then predictions depend on what was asked before
    usual = worst(outcome.deviation for outcome in subject.usual.values())

    def is_explained(criterion: Criterion) -> bool:
        at_usual: float = getattr(usual, criterion.name) or 0.0
        return criterion.limit < at_usual and criterion.measured <= _SAME_REASON * at_usual

    return all(map(is_explained, evidence.failing))


def _criteria(measured: Deviation, tolerance: Deviation) -> list[Criterion]:
    return [
        Criterion(name, getattr(measured, name), getattr(tolerance, name), unit)
        for name, unit in UNITS.items()
        if getattr(measured, name) is not None
    ]


def _in_tolerances(measured: Deviation, tolerance: Deviation) -> float:
    return max(criterion.severity for criterion in _criteria(measured, tolerance))


def _message(cases: Mapping[str, Outcome], tolerance: Deviation) -> str:
    furthest = max(cases, key=lambda name: _in_tolerances(cases[name].deviation, tolerance))
    found = worst(outcome.deviation for outcome in cases.values())
    return (
        f"{len(cases)} batches: energies differ from eager float64 by at most "
        f"{found.energy_per_atom:.2g} eV/atom, forces by {found.forces:.2g} eV/Å ({furthest})"
    )


def _more(errors: list[str]) -> str:
    return f"; and {len(errors) - 1} more batches raise errors" if len(errors) > 1 else ""


def _table(cases: Mapping[str, Outcome]) -> dict[str, Any]:
    return {
        name: {"error": outcome.error} if outcome.error else outcome.deviation.model_dump()
        for name, outcome in cases.items()
    }


def _identity(subject: ArtifactSubject) -> dict[str, Any]:
    manifest = subject.manifest
    return {
        "format": manifest.format,
        "precision": manifest.precision,
        "size": manifest.size,
        "sha256": manifest.sha256,
        "weights": manifest.weights,
        "versions": manifest.versions,
    }
