"""What accepting a proposal would change, for a person to review."""

from collections.abc import Sequence

import numpy as np

from mlffd.golden.compare import compare_metrics
from mlffd.golden.metrics import metric_terms
from mlffd.golden.proposals import StudentProposal
from mlffd.golden.records import DatasetRecord, Predictions, StudentGolden
from mlffd.structures.structure import Structure

_WORST = 10


def student_changes(
    golden: StudentGolden | None, proposal: StudentProposal, structures: Sequence[Structure]
) -> list[str]:
    """Old -> new, metric by metric, and the ten structures that change most; [] if nothing does.

    Args:
        golden: what is accepted now.
        proposal: what would be.
        structures: labelled, that the proposal is about.
    """
    new = proposal.record
    entry = next(iter(new.environments.values()))
    if golden is None:
        figures = [f"  {n}: {m.value:.4g} {m.unit}" for n, m in sorted(entry.metrics.items())]
        return ["no golden yet; would become:", *figures]
    old = golden.record
    lines = [
        f"{what}: {before[:19]} -> {after[:19]}"
        for what, before, after in (
            ("weights", old.weights, new.weights),
            ("data set", old.dataset, new.dataset),
        )
        if before != after
    ]
    if old.revision != new.revision:
        lines.append(f"revision: {old.revision} -> {new.revision}")
    if old.dataset != new.dataset or len(golden.predictions) != len(structures):
        figures = [f"  {n}: {m.value:.4g} {m.unit}" for n, m in sorted(entry.metrics.items())]
        return [*lines, "metrics on the new data (not comparable):", *figures]
    changed = _force_changes(golden.predictions, proposal.predictions)
    energies = np.abs(golden.predictions.energy - proposal.predictions.energy)
    if not lines and not changed.any() and not energies.any():
        return []
    comparisons = compare_metrics(
        old.environments[next(iter(old.environments))].metrics,
        metric_terms(structures, golden.predictions),
        metric_terms(structures, proposal.predictions),
    )
    for c in comparisons:
        interval = (
            f", change {100 * c.change.low:+.2g}% to {100 * c.change.high:+.2g}%"
            if c.change
            else ""
        )
        before = "none" if c.golden is None else f"{c.golden:.4g}"
        lines.append(f"{c.metric}: {before} -> {c.value:.4g} {c.unit} ({c.status}{interval})")
    lines.append(f"structures that change most (of {len(structures)}):")
    lines += [
        f"  {proposal.predictions.names[i]}: forces by {changed[i]:.3g} eV/Å, "
        f"energy by {energies[i]:.3g} eV"
        for i in np.argsort(-changed)[:_WORST]
    ]
    return lines


def _force_changes(old: Predictions, new: Predictions) -> np.ndarray:
    """Largest change of a force component, structure by structure, ``[M]``."""
    return np.array([np.abs(old.forces_of(i) - new.forces_of(i)).max() for i in range(len(new))])


def dataset_changes(golden: DatasetRecord | None, new: DatasetRecord) -> list[str]:
    """Old -> new coverage; [] if nothing changes."""
    if golden is None:
        return [f"no golden yet; would become: {new.structures} structures, {_symbols(new)}"]
    if golden.fingerprint == new.fingerprint:
        return []
    lines = [
        f"structures: {golden.structures} -> {new.structures}",
        f"periodic: {golden.periodic} -> {new.periodic}",
    ]
    for symbol in sorted({*golden.elements, *new.elements}):
        before, after = golden.elements.get(symbol), new.elements.get(symbol)
        if before != after:
            lines.append(
                f"{symbol}: {before.structures if before else 0} -> "
                f"{after.structures if after else 0} structures"
            )
    return lines


def _symbols(record: DatasetRecord) -> str:
    return " ".join(sorted(record.elements))
