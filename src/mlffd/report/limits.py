"""What a student cannot do, in sentences that follow from its config, training and figures."""

from collections.abc import Iterable, Iterator

from ase.data import chemical_symbols

from mlffd.checkpoints import Checkpoint
from mlffd.checks.evidence import Evidence
from mlffd.checks.measuring import StudentAccuracy
from mlffd.golden.breakdown import Breakdown, Figures
from mlffd.report.figures import columns
from mlffd.report.markdown import plain_text
from mlffd.report.training import TrainingStatement
from mlffd.verdicts import Verdict

#: Parts on fewer structures are not called the worst: their figures are too uncertain.
_ENOUGH = 10


def known_limits(
    checkpoint: Checkpoint,
    training: TrainingStatement,
    measured: StudentAccuracy,
    physics: Iterable[Evidence],
) -> Iterator[str]:
    """One limit a sentence, as Markdown; the same arguments give the same sentences.

    Args:
        checkpoint: the student.
        training: what the checkpoint says of it.
        measured: its accuracy.
        physics: evidence of the checks of physics.
    """
    yield _elements(checkpoint)
    yield (
        "**Neutral closed shells.** Neither charge nor spin is an input: ions, radicals and excited"
        " states are taken for the neutral molecule in its ground state."
    )
    yield _range(checkpoint)
    yield _sizes(training, measured)
    yield (
        f"**Its teacher.** Errors are differences from {plain_text(measured.teacher)}; the errors "
        "of the teacher itself come on top, and nothing here was compared with experiment."
    )
    yield from _worst(measured.breakdown)
    if few := _few(measured.breakdown):
        yield (
            f"**Few data.** The data to report on have too few molecules with {few} to give an "
            "interval: these figures may be off by more than they look."
        )
    for evidence in physics:
        if evidence.verdict is not Verdict.PASS or evidence.noteworthy:
            yield f"**{evidence.check}: {evidence.verdict}.** {plain_text(evidence.message)}"


def _elements(checkpoint: Checkpoint) -> str:
    if checkpoint.elements is None:
        return "**Elements.** Nobody says which elements it was trained on."
    symbols = ", ".join(chemical_symbols[z] for z in sorted(checkpoint.elements))
    return f"**Elements.** {symbols}. For others it gives numbers that mean nothing."


def _range(checkpoint: Checkpoint) -> str:
    cutoff = checkpoint.config["cutoff"]
    text = f"**Range.** An atom sees others within {cutoff:g} Å"
    if interactions := checkpoint.config.get("num_interactions"):
        text += f"; through neighbours of neighbours, within {cutoff * interactions:g} Å"
    return f"{text}. There is no electrostatics or dispersion beyond."


def _sizes(training: TrainingStatement, measured: StudentAccuracy) -> str:
    trained = training.sizes
    text = "**Sizes.** "
    text += (
        "Nobody says how large the structures were that it was trained on"
        if trained is None
        else f"Trained on structures of {trained[0]} to {trained[1]} atoms"
    )
    return f"{text}; its accuracy is known for up to {measured.largest} atoms."


def _worst(found: Breakdown) -> Iterator[str]:
    for metric, part, rows in (
        ("forces_rmse", "on atoms of", found.by_element),
        ("forces_rmse", "for structures of kind", found.by_kind),
        ("energy_mae_per_atom", "for structures of this many atoms:", found.by_size),
    ):
        candidates: dict[str, Figures] = {
            key: row
            for key, row in rows.items()
            if metric in row and row[metric].structures >= _ENOUGH
        }
        if len(candidates) < 2:
            continue
        (column,) = columns(metric)
        key = max(candidates, key=lambda k: candidates[k][metric].value)
        yield (
            f"**Worst {part} {plain_text(key)}.** {column.title} "
            f"{column.cell(candidates[key])} {column.unit}, over all {column.cell(found.overall)}."
        )


def _few(found: Breakdown) -> str:
    return ", ".join(
        symbol
        for symbol, row in found.by_element.items()
        if "forces_rmse" in row and row["forces_rmse"].low is None
    )
