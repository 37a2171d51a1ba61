"""Does the checkpoint load, hold numbers, and hold as many as it should?"""

from mlffd.checkpoints import read_checkpoint
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.errors import InputError
from mlffd.verdicts import Verdict


@check("loads", concern="loading", kind=StudentSubject)
def check_loads(subject: StudentSubject) -> Evidence:
    """The checkpoint is read safely and its weights fit its architecture, name by name.

    If this fails, it probably means that the file is damaged or no checkpoint, that a layer was
    renamed or resized, or that the checkpoint was written in a layout that is ambiguous. The
    message says which.
    """
    try:
        checkpoint = read_checkpoint(subject.path, require_finite=False)
        student = checkpoint.student()
    except InputError as error:
        # One criterion that is over its limit, so that a failure to load is a failure, not an
        # absence of evidence.
        return judge([Criterion("failures", 1, 0)], str(error))
    return judge(
        [Criterion("failures", 0, 0)],
        f"{student.architecture} revision {student.revision}, "
        f"{checkpoint.parameter_count:,} parameters",
        {
            "parameters": checkpoint.parameter_count,
            "architecture": checkpoint.architecture,
            "config": checkpoint.config,
            "fingerprint": checkpoint.fingerprint,
            "layout": checkpoint.layout,
            "notes": checkpoint.notes,
            "elements": checkpoint.elements,
            "elements_source": checkpoint.elements_source,
        },
    )


@check("finite_weights", concern="loading", kind=StudentSubject)
def check_finite_weights(subject: StudentSubject) -> Evidence:
    """Every weight is a number.

    If this fails, it probably means that training diverged and its last state was saved, or that
    a conversion to a smaller dtype overflowed. It may not show in predictions: an embedding of an
    element that no test structure holds is never used.
    """
    counts = subject.checkpoint.non_finite()
    names = ", ".join(sorted(counts)) or "none"
    return judge(
        [Criterion("values", sum(counts.values()), 0)],
        f"values that are not finite: {names}",
        {"tensors": counts},
    )


def _undeclared_parameters(subject: StudentSubject) -> str | None:
    if subject.parameters is None and subject.checkpoint.declared_parameters is None:
        return "neither the settings nor the checkpoint say how many parameters to expect"
    return None


@check("parameter_count", concern="loading", kind=StudentSubject, unless=_undeclared_parameters)
def check_parameter_count(subject: StudentSubject) -> Evidence:
    """The student has the number of parameters that the settings, or else its file, declare.

    If this fails, it probably means that another student was saved under this name, or that the
    architecture changed size.
    """
    checkpoint = subject.checkpoint
    expected = subject.parameters or checkpoint.declared_parameters
    if expected is None:  # excluded by `unless`
        return Evidence(Verdict.INVALID, "no parameter count is declared")
    found = checkpoint.parameter_count
    return judge(
        [Criterion("difference", abs(found - expected), 0)],
        f"{found:,} parameters, {expected:,} declared",
        {"parameters": found, "declared": expected},
    )
