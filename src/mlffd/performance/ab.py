"""Two commits against each other: speed of every workload, and accuracy of every student."""

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlffd.config import Settings
from mlffd.errors import InputError, MissingDeviceError, NothingMeasuredError
from mlffd.performance.accuracies import AccuracyFinding, compare_accuracy
from mlffd.performance.harness.workloads import Workload
from mlffd.performance.paired_gate import Finding, gate
from mlffd.performance.revisions import Built
from mlffd.performance.taking_turns import Turns
from mlffd.performance.workers import WorkerError
from mlffd.performance_settings import PerformanceSettings
from mlffd.verdicts import EXIT_CODES, Verdict, overall


@dataclass(frozen=True)
class Comparison:
    """A head against a base.

    Attributes:
        base: commit.
        head: commit.
        findings: of workloads.
        accuracy: of students.
        omitted: what only one of them has, so that there is nothing to compare, and why.
        state: of the machine, see `mlffd.performance.harness.clocks.device_state`.
    """

    base: str
    head: str
    findings: Sequence[Finding]
    accuracy: Sequence[AccuracyFinding] = ()
    omitted: Mapping[str, str] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of what can fail; what is only watched does not count."""
        deciding = [finding.verdict for finding in self.findings if finding.fails]
        return overall([*deciding, *(finding.verdict for finding in self.accuracy)])

    @property
    def exit_code(self) -> int:
        """0 pass, 1 slower or less accurate, 3 inconclusive or invalid."""
        return EXIT_CODES[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "verdict": str(self.verdict),
            "exit_code": self.exit_code,
            "base": self.base,
            "head": self.head,
            "machine": dict(self.state),
            "findings": [finding.as_dict() for finding in self.findings],
            "accuracy": [finding.as_dict() for finding in self.accuracy],
            "omitted": dict(self.omitted),
        }


def compare_commits(
    base: Built,
    head: Built,
    settings: Settings,
    *,
    only: Collection[str] = (),
    exports: tuple[Path | None, Path | None] = (None, None),
    accuracy: bool = True,
    on_launch: Callable[[], None] = lambda: None,
) -> Comparison:
    """Judge a head by its own settings.

    Args:
        base: what is compared with.
        head: what is judged.
        settings: of the head.
        only: workloads or tiers; empty: those of the default.
        exports: folders of exported files of both.
        accuracy: whether to compare that, too.
        on_launch: called before each launch.

    Raises:
        InputError: no such workload or tier, or settings name none.
        MissingDeviceError: a workload's device is not here.
        NothingMeasuredError: no workload can be compared, or none that could fail.
        WorkerError: a worker dies while it is measured.
    """
    wanted = selected(settings.performance, only)
    turns = Turns(base, head, exports=exports, on_launch=on_launch)
    missing, broken, state = probe(turns, wanted)
    left = _without(wanted, missing)
    if not left.tiers or (_can_fail(wanted) and not _can_fail(left)):
        reasons = "; ".join(missing.values())
        raise NothingMeasuredError(f"no workload that could fail can be compared: {reasons}")
    runnable = _without(left, broken)
    findings = gate(turns, runnable) if runnable.tiers else []
    findings += [
        Finding(name, title, tier.fails, Verdict.INVALID, broken[name])
        for title, tier in left.tiers.items()
        for name in tier.workloads
        if name in broken
    ]
    had = _settings_of(base)
    omitted = {**missing, **_dropped(had, settings)}
    compared: Sequence[AccuracyFinding] = ()
    if accuracy:
        compared, unknown = _accuracies(base, head, had, wanted, settings)
        omitted |= unknown
    return Comparison(base.commit, head.commit, findings, compared, omitted, state)


def _can_fail(settings: PerformanceSettings) -> bool:
    return any(tier.fails for tier in settings.tiers.values())


def _dropped(had: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """The workloads that the base had in its settings, and the head has in none of its tiers."""
    kept = settings.performance.workloads
    tiers = had.get("performance", {}).get("tiers", {})
    return {
        name: f"the base has it in its tier {title!r}, the head in none"
        for title, tier in tiers.items()
        for name in tier.get("workloads", ())
        if name not in kept
    }


def _accuracies(
    base: Built,
    head: Built,
    had: Mapping[str, Any],
    wanted: PerformanceSettings,
    settings: Settings,
) -> tuple[list[AccuracyFinding], dict[str, str]]:
    """Of every student with labels; and which the base does not have, with the reason."""
    compared: list[AccuracyFinding] = []
    unknown = {}
    labelled = labelled_students(wanted, settings)
    for student, data in labelled.items():
        try:
            compared.append(compare_accuracy(student, data, base, head))
        except WorkerError as error:
            unknown[f"{student}: accuracy"] = f"the base does not have it: {error}"
    names = _students(wanted)
    for student, told in had.get("students", {}).items():
        if "dataset" in told and student in names and student not in labelled:
            message = "the base names a data set for it, the head does not"
            compared.append(AccuracyFinding(student, Verdict.INVALID, message))
    return compared, unknown


def _settings_of(built: Built) -> dict[str, Any]:
    """The settings as they stand, for old ones may have another layout; none if there are none."""
    try:
        text = (built.root / "mlffd.toml").read_text(encoding="utf-8")
        return tomllib.loads(text)
    except (OSError, ValueError):  # not there, not text, or not TOML
        return {}


def selected(settings: PerformanceSettings, only: Collection[str]) -> PerformanceSettings:
    """The settings with those tiers and workloads only that are asked for.

    Args:
        settings: with all tiers.
        only: names of tiers or workloads; empty: the tiers that are measured by default.

    Raises:
        InputError: there is none such, or a workload that nobody could run is named.
    """
    if not settings.tiers:
        raise InputError("performance.tiers: names no workload to measure")
    known = set(settings.workloads)
    for name in sorted(known):
        try:
            Workload.parse(name)
        except ValueError as error:
            raise InputError(f"performance.tiers: workloads: {error}") from error
    if unknown := sorted(set(only) - known - set(settings.tiers)):
        raise InputError(
            f"{unknown[0]!r} is no tier or workload of the settings; tiers: "
            f"{', '.join(settings.tiers)}; workloads: {', '.join(sorted(known))}"
        )
    if not only:
        default = {title: tier for title, tier in settings.tiers.items() if tier.default}
        if not default:
            raise InputError(
                "performance.tiers: none is measured by default; ask for one with --only"
            )
        return settings.model_copy(update={"tiers": default})
    chosen = {
        name
        for title, tier in settings.tiers.items()
        for name in tier.workloads
        if name in only or title in only
    }
    return _without(settings, known - chosen)


def _without(settings: PerformanceSettings, names: Collection[str]) -> PerformanceSettings:
    tiers = {}
    for title, tier in settings.tiers.items():
        left = tuple(name for name in tier.workloads if name not in names)
        if left:
            tiers[title] = tier.model_copy(update={"workloads": left})
    return settings.model_copy(update={"tiers": tiers})


def probe(
    turns: Turns, settings: PerformanceSettings
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Prepare every workload once in both.

    Returns:
        Why the base does not have a workload, by name; why another one cannot be run, by name; the
        machine's state.

    Raises:
        MissingDeviceError: a workload's device is not here.
    """
    missing: dict[str, str] = {}
    broken: dict[str, str] = {}
    devices = {Workload.parse(name).device for name in settings.workloads}
    with turns.team() as (base, head, _):
        for device in sorted(devices):
            try:
                state = head.ask("state", device=device)
            except WorkerError as error:
                raise MissingDeviceError(
                    f"device {device!r} cannot be used here: {error}"
                ) from error
        for name in settings.workloads:
            try:
                head.ask("prepare", name=name)
            except WorkerError as error:
                broken[name] = f"the head cannot run it: {error}"
                continue
            try:
                base.ask("prepare", name=name)
            except WorkerError as error:
                if error.is_lacking:
                    missing[name] = f"the base does not have it: {error}"
                else:
                    broken[name] = f"the base cannot run it: {error}"
    return missing, broken, state


def labelled_students(wanted: PerformanceSettings, settings: Settings) -> dict[str, Path]:
    """The data set of each student of the workloads that has one."""
    names = _students(wanted)
    return {
        name: settings.datasets[student.dataset].path
        for name, student in settings.students.items()
        if name in names and student.dataset is not None
    }


def _students(settings: PerformanceSettings) -> set[str]:
    return {Workload.parse(name).student for name in settings.workloads}
