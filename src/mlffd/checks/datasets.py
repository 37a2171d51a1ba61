"""Is a labelled data set sound, and does it still cover what it covered?"""

from ase.data import chemical_symbols

from mlffd.checks.evidence import Criterion, Evidence, Verdict, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import DatasetSubject
from mlffd.golden.coverage import count_elements
from mlffd.structures.validation import validate_dataset

_SHOWN = 20
_THINNED = 0.5  # of the share of structures that held an element when the golden was accepted


@check("dataset_valid", concern="data", kind=DatasetSubject)
def check_dataset_valid(subject: DatasetSubject) -> Evidence:
    """Every structure and every label of the file is usable.

    If this fails, it probably means that a conversion went wrong (splits, units), that a label
    calculation failed and was stored all the same (NaN), or that structures were merged twice.
    """
    violations = validate_dataset(subject.path)
    first = f"; first: {violations[0].message}" if violations else ""
    return judge(
        [Criterion("violations", len(violations), 0)],
        f"{len(violations)} violations{first}",
        {
            "violations": [
                {"index": v.index, "key": v.key, "message": v.message} for v in violations[:_SHOWN]
            ]
        },
    )


def _no_golden(subject: DatasetSubject) -> str | None:
    return "the settings name no golden record for it" if subject.golden_path is None else None


@check("dataset_coverage", concern="data", kind=DatasetSubject, unless=_no_golden)
def check_dataset_coverage(subject: DatasetSubject) -> Evidence:
    """No element, and no kind of structure, that the golden had is lost or much rarer.

    If this fails, it probably means that a filter or a conversion dropped what it did not know:
    once a data set lost all its hydrogens, and two students were trained on the rest.
    """
    golden = subject.golden
    if golden is None:
        return Evidence(
            Verdict.INVALID,
            f"{subject.golden_path}: missing; review and accept one with `mlffd golden accept`",
        )
    count = len(subject.dataset)
    found = count_elements(subject.dataset)
    lost, thinned = [], []
    for symbol, expected in golden.elements.items():
        share = found.by_symbol[symbol].structures / count if symbol in found.by_symbol else 0.0
        if share == 0.0:
            lost.append(symbol)
        elif share < _THINNED * expected.structures / golden.structures:
            thinned.append(symbol)
    fewer = max(0, golden.structures - count)
    periodic_lost = int(golden.periodic > 0 and found.periodic == 0)
    return judge(
        [
            Criterion("lost_elements", len(lost), 0),
            Criterion("thinned_elements", len(thinned), 0),
            Criterion("periodic_lost", periodic_lost, 0),
            Criterion("structures_lost", fewer, 0),
        ],
        f"{count} structures; lost elements: {', '.join(lost) or 'none'}; much rarer than in the "
        f"golden: {', '.join(thinned) or 'none'}",
        {
            "lost": lost,
            "thinned": thinned,
            "structures": count,
            "golden_structures": golden.structures,
            "unchanged": subject.dataset.fingerprint == golden.fingerprint,
            "elements": {
                chemical_symbols[z]: n for z, n in sorted(subject.dataset.elements.items())
            },
        },
    )
