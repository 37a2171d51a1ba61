"""Is a labelled data set sound, and does it still cover what it covered?"""

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.goldens import missing_golden, no_golden
from mlffd.checks.registry import check
from mlffd.checks.subjects import DatasetSubject
from mlffd.golden.coverage import Coverage, measure_coverage
from mlffd.golden.records import DatasetRecord
from mlffd.structures.validation import validate_dataset

_SHOWN = 20
_THINNED = 0.5  # of the share when the golden was accepted
_FACTOR = 1.5  # wrong units are off by 1.9 (Bohr) and more


@check("dataset_valid", concern="data", kind=DatasetSubject)
def check_dataset_valid(subject: DatasetSubject) -> Evidence:
    """Every structure and every label of the file is usable.

    If this fails, it probably means that a conversion went wrong (splits, units), that a label
    calculation failed and was stored all the same (NaN), or that structures were merged twice.
    """
    violations = validate_dataset(subject.path, labelled=True)
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


@check("dataset_coverage", concern="data", kind=DatasetSubject, unless=no_golden)
def check_dataset_coverage(subject: DatasetSubject) -> Evidence:
    """No element and no kind of structure that the golden had is lost or much rarer.

    Shares of structures and of atoms for each element; shares of periodic, labelled and
    stress-labelled structures; the largest structure; and the typical size of distances, energies
    and forces, which a wrong unit changes at once.

    If this fails, it probably means that a filter or a conversion dropped what it did not know, or
    changed units: once a data set lost all its hydrogens, and two students were trained on the
    rest.
    """
    golden = subject.golden
    if golden is None:
        return missing_golden(subject)
    count = len(subject.dataset)
    found = measure_coverage(subject.dataset)
    lost = sorted(golden.elements.keys() - found.elements.keys())
    thinned = _thinned(golden, found, count)
    kinds = [
        kind
        for kind, expected in golden.kinds.items()
        if found.kinds.get(kind, 0) / count < _THINNED * expected / golden.structures
    ]
    factors = {
        name: max(found.typical.get(name, 0.0) / value, value / found.typical.get(name, 1e-300))
        for name, value in golden.typical.items()
    }
    unchanged = subject.dataset.fingerprint == golden.fingerprint
    return judge(
        [
            Criterion("lost_elements", len(lost), 0),
            Criterion("thinned_elements", len(thinned), 0),
            Criterion("thinned_kinds", len(kinds), 0),
            Criterion("typical_size", max(factors.values(), default=1.0), _FACTOR, "factor"),
            Criterion("lost_structures", max(0, golden.structures - count), 0),
            Criterion("largest_lost", int(found.largest < _THINNED * golden.largest), 0),
        ],
        f"{count} structures, {'as in' if unchanged else 'not the same as in'} the golden; lost: "
        f"{', '.join(lost) or 'nothing'}; much rarer: {', '.join([*thinned, *kinds]) or 'nothing'}",
        {
            "lost": lost,
            "thinned": thinned,
            "thinned_kinds": kinds,
            "typical": found.typical,
            "factors": factors,
            "structures": count,
            "golden_structures": golden.structures,
            "unchanged": unchanged,
            "elements": {symbol: n.atoms for symbol, n in found.elements.items()},
        },
    )


def _thinned(golden: DatasetRecord, found: Coverage, count: int) -> list[str]:
    """Elements that are still there, in a much smaller share of structures or of atoms."""
    atoms = sum(n.atoms for n in found.elements.values())
    golden_atoms = sum(n.atoms for n in golden.elements.values())
    return [
        symbol
        for symbol, now in found.elements.items()
        if (then := golden.elements.get(symbol)) is not None
        and (
            now.structures / count < _THINNED * then.structures / golden.structures
            or now.atoms / atoms < _THINNED * then.atoms / golden_atoms
        )
    ]
