"""Lone atoms, and elements that were never trained."""

from itertools import combinations_with_replacement

import numpy as np
from ase.data import chemical_symbols

from mlffd.checks.deviations import FORCE_LIMIT
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.potential import predict
from mlffd.structures import probes
from mlffd.students.registry import architecture
from mlffd.verdicts import Verdict

_FAR = 30.0  # Å


@check("isolated_atoms", concern="physics", kind=StudentSubject)
def check_isolated_atoms(subject: StudentSubject) -> Evidence:
    """An atom without neighbours has a finite energy, no force, and adds up with another one.

    If this fails, it probably means that an empty neighbour list is not handled (a mean over no
    neighbours, the largest index of an empty list), or that single atoms are treated as a special
    case that disagrees with the general one. Dissociation and gas-phase references go wrong.
    """
    elements = sorted(subject.probe_elements)
    alone = dict(zip(elements, predict(subject.potential, map(probes.atom, elements)), strict=True))
    pairs = list(combinations_with_replacement(elements, 2))
    together = predict(subject.potential, [probes.pair(a, b, _FAR) for a, b in pairs])
    sums = [
        abs(p.energy - alone[a].energy - alone[b].energy)
        for (a, b), p in zip(pairs, together, strict=True)
    ]
    forces = [np.abs(p.forces).max() for p in [*alone.values(), *together]]
    return judge(
        [
            Criterion("energy_sum", float(np.max(sums)), 1e-9, "eV"),
            Criterion("forces_max", float(np.max(forces)), FORCE_LIMIT, "eV/Å"),
        ],
        f"two atoms {_FAR:g} Å apart miss the sum of their energies by at most {np.max(sums):.2g} "
        f"eV; force on a lone atom at most {np.max(forces):.2g} eV/Å",
        {"energies": {chemical_symbols[z]: p.energy for z, p in alone.items()}},
    )


def _nothing_asked(subject: StudentSubject) -> str | None:
    if subject.elements is None:
        return "nobody says which elements it is to serve (`elements` in the settings, --elements)"
    return None


@check("element_coverage", concern="physics", kind=StudentSubject, unless=_nothing_asked)
def check_element_coverage(subject: StudentSubject) -> Evidence:
    """Every element that the student is to serve was trained.

    If this fails, it probably means that the training data lost an element, or that the student is
    asked about one that it never saw. The embedding of such an element is still random, and the
    energies are meaningless without any warning.
    """
    asked = subject.elements or frozenset()
    checkpoint = subject.checkpoint
    trained = checkpoint.elements
    # What a file says of itself does not count where its weights say otherwise.
    moved = architecture(checkpoint.architecture).trained_elements(checkpoint.weights)
    if trained is not None and moved is not None:
        trained &= moved
    if trained is None:
        return Evidence(
            Verdict.INCONCLUSIVE,
            "the checkpoint does not say which elements were trained, nor do its weights",
        )
    untrained = [chemical_symbols[z] for z in sorted(asked - trained)]
    return judge(
        [Criterion("untrained_elements", len(untrained), 0)],
        f"never trained, yet to be served: {', '.join(untrained) or 'none'}",
        {
            "untrained": untrained,
            "trained": [chemical_symbols[z] for z in sorted(trained)],
            "source": checkpoint.elements_source,
            "stated_only": [
                chemical_symbols[z] for z in sorted((checkpoint.elements or trained) - trained)
            ],
        },
    )
