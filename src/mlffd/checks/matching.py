"""Do the same weights still predict what they predicted when their golden was accepted?"""

import numpy as np

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.goldens import missing_golden, no_golden
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.environment import environment_keys
from mlffd.verdicts import Verdict

_WORST = 10


def unusable_golden(subject: StudentSubject) -> Evidence | None:
    """Why a subject cannot be held against its golden; None: it can."""
    golden = subject.golden
    if golden is None:
        return missing_golden(subject)
    if golden.record.subject != subject.name:
        return Evidence(
            Verdict.INVALID,
            f"incomparable: the golden is that of {golden.record.subject!r}",
        )
    if golden.record.revision != subject.checkpoint.revision:
        return Evidence(
            Verdict.INVALID,
            f"incomparable: the golden is of revision {golden.record.revision}, the student of "
            f"revision {subject.checkpoint.revision}",
        )
    assert subject.dataset is not None  # settings demand it beside a golden
    if golden.record.dataset != subject.dataset.fingerprint:
        return Evidence(
            Verdict.INVALID,
            "incomparable: the data set has changed since the golden was accepted",
            details={
                "golden_dataset": golden.record.dataset,
                "dataset": subject.dataset.fingerprint,
            },
        )
    return None


@check("matches_golden", concern="golden", kind=StudentSubject, unless=no_golden)
def check_matches_golden(subject: StudentSubject) -> Evidence:
    """Unchanged weights predict, structure by structure, what they did, within rounding.

    If this fails, it probably means that a layer, the neighbour list or a library changed the
    function. Weights that changed cannot be held against the golden: the verdict is then invalid
    until the new ones are reviewed and accepted.
    """
    if (unusable := unusable_golden(subject)) is not None:
        return unusable
    golden = subject.golden
    assert golden is not None
    if golden.record.weights != subject.checkpoint.fingerprint:
        return Evidence(
            Verdict.INVALID,
            "incomparable: the weights have changed since the golden was accepted; see "
            "`mlffd golden diff`, then `mlffd golden accept`",
            details={
                "golden_weights": golden.record.weights,
                "weights": subject.checkpoint.fingerprint,
            },
        )
    found = subject.predictions
    key, entry = golden.record.entry(environment_keys(subject.device))
    energy, force = golden.predictions.differences(found)
    tolerance = entry.predictions
    by_severity = np.argsort(
        -np.nan_to_num(
            np.maximum(energy / tolerance.energy_per_atom, force / tolerance.forces), nan=np.inf
        )
    )
    return judge(
        [
            Criterion("energy_max", float(energy.max()), tolerance.energy_per_atom, "eV/atom"),
            Criterion("forces_max", float(force.max()), tolerance.forces, "eV/Å"),
        ],
        f"{len(found)} structures: energies differ from the golden by at most "
        f"{energy.max():.2g} eV/atom, forces by {force.max():.2g} eV/Å "
        f"({found.names[by_severity[0]]})",
        {
            "environment": key,
            "structures": len(found),
            "worst": [
                {"name": found.names[i], "energy": energy[i], "forces": force[i]}
                for i in by_severity[:_WORST]
            ],
        },
    )
