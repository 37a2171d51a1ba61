"""The one generator of (subject, check) cases that every front end runs."""

import traceback
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ase.data import atomic_numbers

from mlffd.checkpoints import read_checkpoint
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.budget import budget_of
from mlffd.checks.evidence import Evidence
from mlffd.checks.foreign import ForeignSubject
from mlffd.checks.known_defects import hold_against
from mlffd.checks.registry import CONCERNS, Check, all_checks
from mlffd.checks.subjects import DatasetSubject, StudentSubject, Subject
from mlffd.config import Settings
from mlffd.errors import InputError
from mlffd.export.manifest import manifest_path, read_manifest
from mlffd.structures.dataset import Dataset
from mlffd.verdicts import Verdict

_DATASET_SUFFIXES = (".h5", ".hdf5")
_FOREIGN_SUFFIXES = (".onnx",)
_TWICE = "something is named twice; each subject is checked once"


@dataclass(frozen=True)
class Case:
    """One check of one subject."""

    subject: Subject
    check: Check

    @property
    def id(self) -> str:
        """Names the case in every front end."""
        return f"{self.subject.name}-{self.check.name}"

    def run(self) -> Evidence:
        """Measure and judge; an error on the way makes the evidence invalid, never disappear."""
        name, subject = self.check.name, self.subject
        try:
            evidence = self.check.function(subject)
        except InputError as error:
            evidence = Evidence(Verdict.INVALID, str(error))
        except Exception as error:  # whatever a subject does, the other cases still run
            evidence = Evidence(
                Verdict.INVALID,
                f"{type(error).__name__}: {error}",
                details={"traceback": traceback.format_exc()},
            )
        evidence = replace(evidence, subject=subject.name, check=name)
        try:
            evidence = evidence.with_limits(subject.limits.get(name, {}))
        except InputError as error:  # known only now, and no reason to lose the other evidence
            worse = Verdict.FAIL if evidence.verdict is Verdict.FAIL else Verdict.INVALID
            evidence = replace(evidence, verdict=worse, message=f"{error}; {evidence.message}")
        defect = subject.known_defects.get(name)
        return evidence if defect is None else hold_against(evidence, defect)


class Omission(NamedTuple):
    """A check that does not concern a subject, and why: shown, so that no gap goes unseen.

    The check is ``all`` where not one that was asked for concerns the subject.
    """

    subject: str
    check: str
    reason: str


class Plan(NamedTuple):
    """What is run, and what is not."""

    cases: list[Case]
    omissions: list[Omission]


def plan(subjects: Iterable[Subject], only: Collection[str] = ()) -> Plan:
    """Generate the cases.

    Args:
        subjects: what to check.
        only: names of checks or concerns; empty means all.

    Raises:
        InputError: an unknown name, a declaration that matches nothing, or no case at all.
    """
    checks = _select(only)
    cases: list[Case] = []
    omissions: list[Omission] = []
    for subject in subjects:
        _refuse_stale_declarations(subject)
        fitting = [check for check in checks if isinstance(subject, check.kind)]
        if not fitting:
            asked = ", ".join(sorted(only))
            omissions.append(Omission(subject.name, "all", f"no check of {asked} concerns it"))
        for check in fitting:
            reason = _reason_to_omit(check, subject)
            if reason is None:
                cases.append(Case(subject, check))
            else:
                omissions.append(Omission(subject.name, check.name, reason))
    if not cases:
        raise InputError("nothing to check: no check concerns what was asked for")
    return Plan(cases, omissions)


def _select(only: Collection[str]) -> list[Check]:
    checks = all_checks()
    names = {c.name for c in checks}
    if unknown := sorted(set(only) - names - set(CONCERNS)):
        raise InputError(
            f"unknown check or concern: {', '.join(unknown)}; concerns: {', '.join(CONCERNS)}; "
            f"checks: {', '.join(sorted(names))}"
        )
    return [c for c in checks if not only or c.name in only or c.concern in only]


def _reason_to_omit(check: Check, subject: Subject) -> str | None:
    try:
        return check.unless(subject)
    except InputError:
        return None  # it concerns the subject until the subject can be read and says otherwise


def _refuse_stale_declarations(subject: Subject) -> None:
    """A declaration about a check that does not concern the subject protects nothing."""
    if not subject.limits and not subject.known_defects:
        return
    concerned = {
        c.name
        for c in all_checks()
        if isinstance(subject, c.kind) and _reason_to_omit(c, subject) is None
    }
    for key, declared in (("limits", subject.limits), ("known_defects", subject.known_defects)):
        if stale := sorted(set(declared) - concerned):
            raise InputError(
                f"{subject.name}.{key}: no such check of this subject: {', '.join(stale)}; "
                f"there are: {', '.join(sorted(concerned))}"
            )


def configured_subjects(settings: Settings, *, device: str = "cpu") -> list[Subject]:
    """A subject for every student, data set and artifact of the settings."""
    students: list[Subject] = [
        StudentSubject(
            name=name,
            path=s.checkpoint,
            device=device,
            parameters=s.parameters,
            elements=frozenset(atomic_numbers[e] for e in s.elements) or None,
            golden_path=s.golden,
            dataset_path=settings.datasets[s.dataset].path if s.dataset else None,
            counters_path=s.counters,
            limits=s.limits,
            known_defects=s.known_defects,
            nve_picoseconds=s.nve_picoseconds,
            strict=settings.strict,
        )
        for name, s in settings.students.items()
    ]
    datasets: list[Subject] = [
        DatasetSubject(
            name=name,
            path=d.path,
            golden_path=d.golden,
            limits=d.limits,
            known_defects=d.known_defects,
        )
        for name, d in settings.datasets.items()
    ]
    artifacts: list[Subject] = [
        ArtifactSubject(
            name=name,
            path=a.path,
            reference=a.reference,
            device=device,
            limits=a.limits,
            known_defects=a.known_defects,
            budget=budget_of(a.reference, settings),
        )
        for name, a in settings.artifacts.items()
    ]
    return students + datasets + artifacts


def named_subjects(
    names: Sequence[str],
    settings: Settings,
    *,
    device: str = "cpu",
    elements: frozenset[int] | None = None,
    reference: Path | None = None,
) -> list[Subject]:
    """The subjects of these names or, where settings have no such name, at these paths.

    Args:
        names: of subjects in the settings, or paths; none means all settings.
        settings: where names are looked up.
        device: to compute on.
        elements: that students are to serve, instead of what settings say.
        reference: the checkpoint of the artifacts that are given by path.

    Raises:
        InputError: neither a name nor a usable file, an artifact without a reference, or a
            reference without an artifact.
    """
    configured = {s.name: s for s in configured_subjects(settings, device=device)}
    subjects: list[Subject] = []
    given: list[Subject] = []  # by path, not by name
    for name in names or configured:
        if name in configured:
            subjects.append(configured[name])
        elif Path(name).exists():
            given.append(_subject_at(Path(name), settings, device=device, reference=reference))
            subjects.append(given[-1])
        else:
            known = ", ".join(configured) or "no names: there are no settings"
            raise InputError(f"{name}: neither a file nor a name in the settings ({known})")
    if reference is not None and not any(
        isinstance(s, ArtifactSubject | ForeignSubject) for s in given
    ):
        raise InputError("--reference: is for artifacts that are given by path: there is none")
    _tell_apart(subjects, given)
    paths = [subject.path.resolve() for subject in subjects]
    if any(paths.count(subject.path.resolve()) > 1 for subject in given):
        raise InputError(_TWICE)
    if elements is not None:
        for subject in subjects:
            if isinstance(subject, StudentSubject):
                subject.elements = elements
    return subjects


def _tell_apart(subjects: Sequence[Subject], given: Sequence[Subject]) -> None:
    """A given file whose name another subject has, too, is called by its path."""
    often = Counter(subject.name for subject in subjects)
    for subject in given:
        if often[subject.name] > 1:
            subject.name = str(subject.path)
    if len({subject.name for subject in subjects}) < len(subjects):
        raise InputError(_TWICE)


def _subject_at(path: Path, settings: Settings, *, device: str, reference: Path | None) -> Subject:
    """Read at once: a file that somebody names and that cannot be used is bad input."""
    if path.suffix in _DATASET_SUFFIXES:
        Dataset(path).close()
        return DatasetSubject(name=path.stem, path=path)
    is_ours = manifest_path(path).exists()
    if is_ours or path.suffix in _FOREIGN_SUFFIXES:
        if reference is None:
            raise InputError(
                f"{path}: an artifact: `mlffd check` needs --reference, the checkpoint that it was "
                "exported from"
            )
        read_checkpoint(reference)
        if not is_ours:
            return ForeignSubject(name=path.stem, path=path, reference=reference)
        read_manifest(path)
        return ArtifactSubject(
            name=path.stem,
            path=path,
            reference=reference,
            device=device,
            budget=budget_of(reference, settings),
        )
    read_checkpoint(path)
    return StudentSubject(name=path.stem, path=path, device=device)
