"""Running cases, and what follows from all of them together."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlffd.checks.cases import Case, Omission, named_subjects, plan
from mlffd.checks.evidence import Evidence
from mlffd.checks.standings import Standings, compare_all
from mlffd.checks.subjects import StudentSubject
from mlffd.config import Settings, load_settings
from mlffd.environment import describe_commit, describe_environment, now
from mlffd.errors import InputError
from mlffd.runtimes.eager import available_device
from mlffd.settings_file import find_settings
from mlffd.verdicts import EXIT_CODES, Verdict, overall


@dataclass(frozen=True)
class Run:
    """All evidence of one run.

    Attributes:
        evidence: in the order of the cases.
        omissions: checks that did not concern a subject.
        environment: where it ran.
        standings: of students that were judged on the same data set.
    """

    evidence: Sequence[Evidence]
    omissions: Sequence[Omission]
    environment: dict[str, Any]
    standings: Sequence[Standings] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the evidence; invalid if there is none."""
        return overall(e.verdict for e in self.evidence)

    @property
    def exit_code(self) -> int:
        """0 pass, 1 regression, 3 inconclusive or invalid."""
        return EXIT_CODES[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return report_document(
            self.verdict,
            self.environment,
            [e.as_dict() for e in self.evidence],
            self.omissions,
            standings=[s.as_dict() for s in self.standings],
        )


def report_document(
    verdict: Verdict,
    environment: dict[str, Any],
    evidence: Sequence[dict[str, Any]],
    omissions: Sequence[Omission],
    not_run: Sequence[tuple[str, str]] = (),
    standings: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The form of every JSON report, whoever collected what is in it.

    Args:
        verdict: of the whole.
        environment: where it ran.
        evidence: as dictionaries.
        omissions: checks that did not concern a subject.
        not_run: subject and check of each case that was left out.
        standings: as dictionaries; processes that share the cases cannot compare students.
    """
    return {
        "verdict": str(verdict),
        "exit_code": EXIT_CODES[verdict],
        "environment": environment,
        "evidence": list(evidence),
        "omitted": [o._asdict() for o in omissions],
        "not_run": [{"subject": subject, "check": check} for subject, check in not_run],
        "standings": list(standings),
    }


def run_cases(
    cases: Sequence[Case],
    omissions: Sequence[Omission] = (),
    *,
    device: str = "cpu",
    settings: Path | None = None,
    before: Callable[[Case], None] = lambda case: None,
) -> Run:
    """Run every case, in order.

    Args:
        cases: to run.
        omissions: to report beside the evidence.
        device: that the subjects compute on, for the report.
        settings: the file that the subjects come from, for the report.
        before: called before each case, to show progress.

    Raises:
        InputError: the device is not there.
    """
    available_device(device)
    evidence = []
    judged = []
    for case in cases:
        before(case)
        evidence.append(case.run())
        if case.check.name == "accuracy" and evidence[-1].verdict is not Verdict.INVALID:
            judged.append(case.subject)
    standings = compare_all(s for s in judged if isinstance(s, StudentSubject))
    return Run(evidence, omissions, run_environment(device, settings), standings)


def run_environment(device: str = "cpu", settings: Path | None = None) -> dict[str, Any]:
    """Where, when, by which settings, and on which commit: that of the settings."""
    return {
        "date": now(),
        "settings": None if settings is None else str(settings),
        **describe_environment(device),
        **describe_commit(Path.cwd() if settings is None else settings.parent),
    }


def load_settings_for(config: str | os.PathLike[str] | None, *, needed: bool) -> Settings:
    """Settings from a file, or from the nearest ``mlffd.toml`` at or above the working folder.

    Raises:
        InputError: the file is bad, or there is none though one is needed.
    """
    path = Path(config) if config is not None else find_settings(Path.cwd())
    if path is not None:
        return load_settings(path)
    if needed:
        raise InputError(
            "no mlffd.toml here or in a folder above: name a checkpoint, or the settings with "
            "--config"
        )
    return Settings()


def run_checks(
    *names: str | os.PathLike[str],
    config: str | os.PathLike[str] | None = None,
    only: Sequence[str] = (),
    device: str = "cpu",
    reference: str | os.PathLike[str] | None = None,
) -> list[Evidence]:
    """Check students, data sets and artifacts.

    Args:
        names: of subjects in the settings, or paths of checkpoints, data sets and artifacts; none
            means everything in the settings.
        config: settings; None looks for ``mlffd.toml`` at or above the working folder.
        only: checks or concerns to run; empty means all.
        device: to compute on.
        reference: the checkpoint of the artifacts that are given by path.

    Raises:
        InputError: a name, a file or the settings cannot be used.
    """
    settings = load_settings_for(config, needed=not names)
    subjects = named_subjects(
        [os.fspath(n) for n in names],
        settings,
        device=device,
        reference=None if reference is None else Path(reference),
    )
    cases, omissions = plan(subjects, only)
    return list(run_cases(cases, omissions, device=device, settings=settings.source).evidence)
