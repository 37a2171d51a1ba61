"""Do the labels of a data set belong together, and to their structures?"""

import numpy as np
from ase.data import chemical_symbols

from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import DatasetSubject
from mlffd.structures.close_pairs import FURTHEST, ClosePair

#: What the trapezoidal rule may be off by. Of 1,400 pairs of 24 molecules (GFN2-xTB: bonds of many
#: kinds pulled, pressed, turned and rattled, forces up to 60 eV/Å) it was off by at most 0.25 of
#: the `bend` and 25 eV/Å³ times the stretch cubed, which matters where forces turn and the bend
#: vanishes; twice the latter is allowed.
#: Of 2,279 pairs of generated structures the worst took 0.42 of what this allows.
_OF_THE_BEND = 0.25
_OF_THE_CUBE = 50.0  # eV/Å³
_NOISE = 1e-3  # eV, of labels in float32
#: All pairs together, root mean square: it was 0.04 for those, 0.12 for rattled ones alone.
_OVERALL = 0.25
#: eV/atom. Atoms that part from everything lose most: some 9 in carbon and in tungsten; bonds and
#: strain change less than 2. In Hartree an energy of GFN2-xTB is off by 11 or more in a data set of
#: a hundred structures, of which the fit to few of an element swallows some; in kcal/mol by 180.
_ADDITIVE = 10.0
_SHOWN = 10


def _no_close_pairs(subject: DatasetSubject) -> str | None:
    if not subject.dataset.is_labelled:
        return "it has no labels"
    if not subject.close_pairs:
        return f"no two of its structures are the same atoms within {FURTHEST:g} Å, as in a scan"
    return None


@check("labels_consistent", concern="data", kind=DatasetSubject, unless=_no_close_pairs)
def check_labels_consistent(subject: DatasetSubject) -> Evidence:
    """Between structures that are close together, energies change as their forces say.

    Points of a scan, steps of a simulation, rattled copies: the same atoms in the same order and
    cell, each within 0.15 Å. The change of energy is compared with the trapezoidal rule,
    ``-(F1 + F2) / 2 . (x2 - x1)``: pair by pair, as a multiple of what the rule itself can be
    off, and over all pairs, as a share of the change.

    If this fails, it probably means that forces have the wrong sign (gradients), that energies
    and forces are in different units, or that labels were shuffled among structures.
    """
    pairs = subject.close_pairs
    errors = np.array([pair.change - pair.work for pair in pairs])
    allowed = np.array([_allowed(pair) for pair in pairs])
    size = float(np.sqrt(np.mean([max(p.work**2, _NOISE**2) for p in pairs])))
    overall = float(np.sqrt(np.mean(errors**2))) / size
    ratios = np.abs(errors) / allowed
    order = np.argsort(-ratios)
    worst = pairs[order[0]]
    return judge(
        [
            Criterion("worst_pair", float(ratios.max()), 1.0, "of its allowance"),
            Criterion("overall", overall, _OVERALL, "of the change"),
        ],
        f"{len(pairs)} pairs of close structures: energies change as forces say within "
        f"{overall:.2g} of the change; worst: {worst.first} and {worst.second}, by "
        f"{worst.change:.3g} eV instead of {worst.work:.3g} eV",
        {
            "pairs": len(pairs),
            "inconsistent": int((ratios > 1).sum()),
            "worst": [
                {
                    "first": pairs[i].first,
                    "second": pairs[i].second,
                    "displacement": pairs[i].displacement,
                    "change": pairs[i].change,
                    "work": pairs[i].work,
                    "allowed": allowed[i],
                }
                for i in order[:_SHOWN]
            ],
        },
    )


def _allowed(pair: ClosePair) -> float:
    """eV, by which the change of energy may differ from the work."""
    return _OF_THE_BEND * pair.bend + _OF_THE_CUBE * pair.stretch**3 + _NOISE


def _too_few_energies(subject: DatasetSubject) -> str | None:
    if not subject.dataset.is_labelled:
        return "it has no labels"
    needed = 2 * len(subject.dataset.elements)
    if len(subject.dataset) < needed:
        return f"its elements have energies to fit: {needed} structures are the least for that"
    return None


@check("energies_plausible", concern="data", kind=DatasetSubject, unless=_too_few_energies)
def check_energies_plausible(subject: DatasetSubject) -> Evidence:
    """Every energy is the sum of one energy for each element, within 10 eV per atom.

    The energies of the elements are fitted to the data set itself, by least squares. What is left
    is that of bonds and strain, whatever the teacher counts from.

    If this fails, it probably means that some labels have another unit (kcal/mol, Hartree) or
    another reference (total and atomization energies) than the others, that they belong to other
    structures, or that a calculation converged to nonsense.
    """
    names, rows, energies = [], [], []
    numbers = np.array(list(subject.dataset.elements))
    for structure in subject.dataset:
        # What is not finite is for `dataset_valid` to find.
        if structure.energy is not None and np.isfinite(structure.energy) and len(structure):
            names.append(structure.name)
            rows.append((structure.numbers[:, None] == numbers).mean(axis=0))
            energies.append(structure.energy / len(structure))
    shares, per_atom = np.array(rows), np.array(energies)
    fitted = np.linalg.lstsq(shares, per_atom, rcond=None)[0]
    left = np.abs(per_atom - shares @ fitted)
    order = np.argsort(-left)
    return judge(
        [Criterion("unexplained", float(left.max()), _ADDITIVE, "eV/atom")],
        f"{len(left)} energies are sums of element energies within {left.max():.3g} eV/atom "
        f"({names[order[0]]})",
        {
            "element_energies": {
                chemical_symbols[z]: energy for z, energy in zip(numbers, fitted, strict=True)
            },
            "implausible": int((left > _ADDITIVE).sum()),
            "worst": [{"name": names[i], "unexplained": left[i]} for i in order[:_SHOWN]],
        },
    )
