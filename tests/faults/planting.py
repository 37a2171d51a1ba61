"""A healthy student, and what fails of a subject."""

from collections.abc import Iterable
from dataclasses import replace as copy_of
from pathlib import Path

from mlffd.checks.cases import plan
from mlffd.checks.evidence import Evidence
from mlffd.checks.subjects import StudentSubject, Subject
from mlffd.runtimes.potential import predict
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "golden" / "checkpoints" / "ultra_tiny.pt"
DATASET = ROOT / "golden" / "datasets" / "golden.h5"


def healthy_student(path: Path = CHECKPOINT) -> StudentSubject:
    """The shipped student as one that is new: without a golden, every fault is its own.

    The dynamics are as short as they can be and still tell a drift from a vibration.
    """
    return StudentSubject(name="student", path=path, nve_picoseconds=0.1)


def labelled_by_student(structures: Iterable[Structure]) -> list[Structure]:
    """Structures with labels of the shipped student: wrong by its errors, but consistent."""
    bare = list(structures)
    predictions = predict(healthy_student().potential, bare)
    return [
        copy_of(
            structure,
            energy=predicted.energy,
            forces=predicted.forces,
            stress=predicted.stress if structure.is_periodic else None,
        )
        for structure, predicted in zip(bare, predictions, strict=True)
    ]


def all_evidence(subject: Subject, *, dynamics: bool = True) -> dict[str, Evidence]:
    """The evidence of every check that concerns the subject.

    Args:
        subject: with or without a fault.
        dynamics: False leaves out `nve_conservation`, which takes half of the time, where a fault
            does not touch the potential.
    """
    cases = [c for c in plan([subject]).cases if dynamics or c.check.name != "nve_conservation"]
    return {case.check.name: case.run() for case in cases}


def not_passing(subject: Subject, *, dynamics: bool = True) -> dict[str, Verdict]:
    """What a planted fault brings up: empty for a healthy subject."""
    evidence = all_evidence(subject, dynamics=dynamics)
    return {c: e.verdict for c, e in evidence.items() if e.verdict is not Verdict.PASS}
