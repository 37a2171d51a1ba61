"""An ONNX file that somebody else exported: no manifest says what it is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from mlffd.checkpoints import Checkpoint, read_checkpoint
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.config import KnownDefect
from mlffd.export.foreign import ENERGY_PER_ATOM, FORCES, Diagnosis, diagnose
from mlffd.export.probe_cases import probed_elements
from mlffd.structures import probes
from mlffd.verdicts import Verdict


@dataclass
class ForeignSubject:
    """An ONNX file without a manifest, and the checkpoint that it is said to be.

    Attributes:
        name: in reports.
        path: of the file.
        reference: the checkpoint.
        limits: overrides, ``{check: {criterion: limit}}``.
        known_defects: declared, by check.
    """

    name: str
    path: Path
    reference: Path
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    known_defects: Mapping[str, KnownDefect] = field(default_factory=dict)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """What it is to mean the same as."""
        return read_checkpoint(self.reference)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """What is wrong with it, found on rattled probe molecules; all checks share it."""
        elements = probed_elements(self.checkpoint.elements)
        return diagnose(self.path, self.checkpoint, probes.molecules(elements))


def loads(subject: ForeignSubject) -> Evidence:
    """Whether onnxruntime loads the file as it is."""
    diagnosis = subject.diagnosis
    message = "; ".join(diagnosis.loading_lines())
    return judge([Criterion("failures", int(not diagnosis.loads), 0)], message)


def matches(subject: ForeignSubject) -> Evidence:
    """How far it is from the checkpoint; nodes that do not load were replaced to measure that."""
    diagnosis = subject.diagnosis
    message = "; ".join(diagnosis.meaning_lines())
    errors = diagnosis.measured
    if errors is None or not errors.structures:
        return Evidence(Verdict.INVALID, message or "nothing could be compared")
    criteria = [Criterion("energy_per_atom", errors.energy_per_atom, ENERGY_PER_ATOM, "eV/atom")]
    if errors.forces is not None:
        criteria.append(Criterion("forces", errors.forces, FORCES, "eV/Å"))
    return judge(
        criteria,
        message,
        {
            "measured": asdict(errors),
            "mended": diagnosis.mended and asdict(diagnosis.mended),
            "lossy_sums": [asdict(item) for item in diagnosis.lossy_sums],
            "replaced": [asdict(item) for item in diagnosis.replaced],
        },
    )


def shapes(subject: ForeignSubject) -> Evidence:
    """Whether it takes every size: no input fixes one, and no structure made it fail."""
    diagnosis = subject.diagnosis
    failed = () if diagnosis.measured is None else diagnosis.measured.failed
    baked = [
        f"{item} takes {count} {size} only"
        for item in diagnosis.signature.baked
        for size, count in item.baked
    ]
    problems = [*baked, *failed]
    message = "; ".join(problems) or "no input fixes a size"
    return judge([Criterion("failures", len(problems), 0)], message)
