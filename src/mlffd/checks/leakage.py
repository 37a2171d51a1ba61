"""Is a student judged on what it has never seen?"""

from collections import Counter

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.errors import InputError
from mlffd.structures.composition import composition

#: What a student was trained on, and what its best epoch was chosen by.
_SPLITS = ("train", "validation")
_SHOWN = 10


def _cannot_tell(subject: StudentSubject) -> str | None:
    if subject.dataset is None:
        return "the settings name no data set for it"
    if not _formulas(subject):
        return "its checkpoint does not tell what it was trained on"
    return None


def _formulas(subject: StudentSubject) -> dict[str, frozenset[str]]:
    """Hill formulas by split, for those that the checkpoint tells.

    Raises:
        InputError: it tells something else than a list of formulas.
    """
    data = subject.checkpoint.training.get("data")
    found = {}
    for split in _SPLITS:
        provenance = data.get(split) if isinstance(data, dict) else None
        stated = provenance.get("compositions") if isinstance(provenance, dict) else None
        if stated is None:
            continue
        if not isinstance(stated, list) or not all(isinstance(f, str) for f in stated):
            raise InputError(
                f"{subject.path}: training: data: {split}: compositions: expected a list of "
                "Hill formulas"
            )
        found[split] = frozenset(stated)
    return found


@check("unseen_molecules", concern="golden", kind=StudentSubject, unless=_cannot_tell)
def check_unseen_molecules(subject: StudentSubject) -> Evidence:
    """No structure that it is judged on has the formula of one that it was trained on.

    Nor of one that its best epoch was chosen by. Formulas are compared, not names: a molecule
    under another name, or another conformer of it, has the same. Single atoms are exempt.

    If this fails, it probably means that the data were split by structure instead of by molecule,
    that molecules of the test set were added to the training data, or that the settings name the
    wrong data set. The errors of the student are then too good to be true.
    """
    assert subject.dataset is not None
    formulas = _formulas(subject)
    judged = [(composition(s), s.name) for s in subject.dataset if len(s) > 1]
    leaking = {
        split: [(formula, name) for formula, name in judged if formula in seen]
        for split, seen in formulas.items()
    }
    first = next((found[0] for found in leaking.values() if found), None)
    return judge(
        [Criterion(f"in_{split}", len(found), 0, "structures") for split, found in leaking.items()],
        f"of {len(judged)} structures, "
        + ", ".join(f"{len(found)} have a formula of {split}" for split, found in leaking.items())
        + (f"; first: {first[1]} ({first[0]})" if first else ""),
        {
            "structures": len(judged),
            "known_formulas": {split: len(seen) for split, seen in formulas.items()},
            "leaking_formulas": {
                split: dict(Counter(formula for formula, _ in found).most_common(_SHOWN))
                for split, found in leaking.items()
            },
            "first": {
                split: [name for _, name in found[:_SHOWN]] for split, found in leaking.items()
            },
        },
    )
