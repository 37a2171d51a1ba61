"""What accepting a proposal would change, for a person to review."""

from collections.abc import Sequence

import numpy as np

from mlffd.golden.compare import Comparison, compare_metrics
from mlffd.golden.counters import differences
from mlffd.golden.proposals import StudentProposal
from mlffd.golden.records import CountersRecord, DatasetRecord, EnvironmentEntry, StudentGolden
from mlffd.golden.residuals import residuals
from mlffd.structures.structure import Structure

_WORST = 10


def student_changes(
    golden: StudentGolden | None, proposal: StudentProposal, structures: Sequence[Structure]
) -> list[str]:
    """Old -> new, metric by metric, and the ten structures that change most; [] if nothing does.

    Predictions that differ by less than the golden's tolerance have not changed.

    Args:
        golden: what is accepted now.
        proposal: what would be, in one environment.
        structures: labelled, that the proposal is about.

    Raises:
        InputError: the structures are not those of the predictions, or have no labels.
    """
    new = proposal.record
    ((key, entry),) = new.environments.items()
    if golden is None:
        return ["no golden yet; would become:", *_figures(entry)]
    old = golden.record
    accepted = old.environments.get(key)
    lines = [
        f"{what}: {before} -> {after}"
        for what, before, after in (
            ("weights", old.weights[:19], new.weights[:19]),
            ("data set", old.dataset[:19], new.dataset[:19]),
            ("revision", old.revision, new.revision),
        )
        if before != after
    ]
    if old.dataset != new.dataset:
        return [*lines, "metrics on the new data (not comparable):", *_figures(entry)]
    before = residuals(structures, golden.predictions)
    after = residuals(structures, proposal.predictions)
    energy, forces = golden.predictions.differences(proposal.predictions)
    if accepted is None:
        lines.append(f"environment {key}: no entry yet, others: {', '.join(old.environments)}")
    else:
        lines += _tolerance_changes(accepted, entry)
        tolerance = accepted.predictions
        within = (energy <= tolerance.energy_per_atom) & (forces <= tolerance.forces)
        if not lines and within.all():
            return []
    lines += map(_describe, compare_metrics(accepted.metrics if accepted else {}, before, after))
    lines.append(f"structures that change most (of {len(structures)}):")
    lines += [
        f"  {proposal.predictions.names[i]}: forces by {forces[i]:.3g} eV/Å, "
        f"energy by {energy[i]:.3g} eV/atom"
        for i in np.argsort(-forces)[:_WORST]
    ]
    return lines


def _figures(entry: EnvironmentEntry) -> list[str]:
    return [f"  {n}: {m.value:.4g} {m.unit}" for n, m in sorted(entry.metrics.items())]


def _tolerance_changes(old: EnvironmentEntry, new: EnvironmentEntry) -> list[str]:
    """A wider tolerance is as much of a change as a worse value."""
    then, now = old.predictions, new.predictions
    changes = {
        "predictions.energy_per_atom": (then.energy_per_atom, now.energy_per_atom),
        "predictions.forces": (then.forces, now.forces),
    }
    for name, metric in sorted(new.metrics.items()):
        if name in old.metrics:
            changes[name] = (old.metrics[name].tolerance, metric.tolerance)
    return [f"tolerance of {n}: {a} -> {b}" for n, (a, b) in changes.items() if a != b]


def _describe(comparison: Comparison) -> str:
    interval = ""
    if comparison.change is not None:
        interval = f", change {comparison.change.in_percent}"
    golden = "none" if comparison.golden is None else f"{comparison.golden:.4g}"
    return (
        f"{comparison.metric}: {golden} -> {comparison.value:.4g} {comparison.unit} "
        f"({comparison.status}{interval})"
    )


def dataset_changes(golden: DatasetRecord | None, new: DatasetRecord) -> list[str]:
    """Old -> new coverage; [] if nothing changes."""
    if golden is None:
        return [f"no golden yet; would become: {new.structures} structures, {_symbols(new)}"]
    if golden.fingerprint == new.fingerprint:
        return []
    lines = [
        f"structures: {golden.structures} -> {new.structures}",
        *(f"{k}: {golden.kinds.get(k, 0)} -> {n} structures" for k, n in new.kinds.items()),
    ]
    for symbol in sorted({*golden.elements, *new.elements}):
        before, after = golden.elements.get(symbol), new.elements.get(symbol)
        if before != after:
            lines.append(
                f"{symbol}: {before.structures if before else 0} -> "
                f"{after.structures if after else 0} structures"
            )
    return lines


def counters_changes(golden: CountersRecord | None, new: CountersRecord) -> list[str]:
    """Old -> new, counter by counter; [] if nothing changes."""
    if golden is None:
        return ["no golden yet; would become:", *_listed(new)]
    lines = []
    if golden.torch != new.torch:
        lines.append(f"torch: {golden.torch} -> {new.torch}: what changes may be its doing")
    return lines + [str(d) for d in differences(golden.counters, new.counters)]


def _listed(record: CountersRecord) -> list[str]:
    return [
        f"  {place}: " + ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items()))
        for place, counts in sorted(record.counters.items())
    ]


def _symbols(record: DatasetRecord) -> str:
    return " ".join(sorted(record.elements))
