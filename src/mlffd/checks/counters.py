"""Does the student still cost what it did, counted rather than timed?"""

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.golden.counters import differences
from mlffd.performance.counting import torch_release
from mlffd.verdicts import Verdict

_SHOWN = 12


def _no_counters(subject: StudentSubject) -> str | None:
    if subject.counters_path is None:
        return "the settings name no golden record of counters for it"
    return None


@check("counters", concern="speed", kind=StudentSubject, unless=_no_counters)
def check_counters(subject: StudentSubject) -> Evidence:
    """The student dispatches, computes, allocates and waits exactly as often as was accepted.

    Counted, not timed, so that the answer is the same on every machine, however busy: in eager
    float32 on the CPU, whatever device the other checks run on, over one molecule, a batch of eight
    and a cluster of 187 atoms. Of each: operators, and those of them that compute; floating-point
    operations of matrix products; bytes allocated, in all and at one time; values that the host
    would have to wait for; edges of the neighbour list. Besides, operators by name, nodes of the
    graph that exports are made from, and the size of the weights. Another release of PyTorch has
    other operators: what was accepted in one is not comparable in another.

    If this fails, it probably means that an operation, a copy or a wait for the GPU was added to a
    layer, or that the neighbour list holds pairs that are too far apart. Less is a change, too:
    accept it, so that what was won is not lost unseen.
    """
    golden = subject.golden_counters
    if golden is None:
        return Evidence(
            Verdict.INVALID,
            f"{subject.counters_path}: missing; review and accept one with `mlffd golden accept`",
        )
    if golden.subject != subject.name:
        return Evidence(
            Verdict.INVALID, f"incomparable: the golden counters are those of {golden.subject!r}"
        )
    if golden.torch != torch_release():
        return Evidence(
            Verdict.INVALID,
            f"incomparable: the golden counters are of torch {golden.torch}, this is torch "
            f"{torch_release()}",
        )
    found = subject.counters
    changed = differences(golden.counters, found)
    counted = sum(map(len, found.values()))
    message = f"{counted} counters are the golden's"
    if changed:
        more = "" if len(changed) <= _SHOWN else f"; and {len(changed) - _SHOWN} more"
        message = (
            f"{len(changed)} of {counted} counters are not the golden's: "
            f"{'; '.join(map(str, changed[:_SHOWN]))}{more}; see `mlffd golden diff`, and accept "
            "what is intended"
        )
    return judge(
        [
            Criterion(place, sum(d.place == place for d in changed), 0, "counters")
            for place in sorted({*golden.counters, *found})
        ],
        message,
        {"counters": found, "changed": [d._asdict() for d in changed]},
    )
