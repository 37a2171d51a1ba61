"""The kill matrix: every fault against every check, and clean runs beside it."""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import mlffd
from mlffd.checkpoints import read_checkpoint
from mlffd.config import Settings, load_settings
from mlffd.errors import InputError
from mlffd.faults.catalogue import CONCERNS, Fault, all_faults
from mlffd.faults.clean import CleanRun, Reading, run_clean
from mlffd.faults.trying import Result, try_fault
from mlffd.processes import end_with_parent, one_thread_each, spawning

_SOURCES = ("*.py", "*.cpp", "*.xyz")
#: What only shows results decides none.
_SHOWS = "report"


@dataclass(frozen=True)
class Matrix:
    """What became of all faults, and of clean runs.

    Attributes:
        student: that faults were planted in.
        faults: that were.
        results: of each of them, in the same order.
        clean: runs without any.
    """

    student: str
    faults: Sequence[Fault]
    results: Sequence[Result]
    clean: Sequence[CleanRun]

    @property
    def escaped(self) -> dict[str, list[str]]:
        """By fault, what should have noticed it and did not."""
        found = {f.name: r.escapes(f) for f, r in zip(self.faults, self.results, strict=True)}
        return {name: escapes for name, escapes in found.items() if escapes}

    @property
    def impossible(self) -> dict[str, str]:
        """By fault, why it could not be planted here."""
        return {r.fault: r.impossible for r in self.results if r.impossible}

    @property
    def alarms(self) -> list[str]:
        """What did not pass though nothing was planted."""
        return [f"run {run.number}: {alarm}" for run in self.clean for alarm in run.alarms]

    @property
    def headroom(self) -> list[Reading]:
        """Of each criterion, the most that clean runs measured; the nearest to its limit first."""
        worst: dict[tuple[str, float], Reading] = {}
        for reading in (reading for run in self.clean for reading in run.readings):
            key = reading.name, reading.limit  # of exports, it depends on the precision
            if key not in worst or reading.measured > worst[key].measured:
                worst[key] = reading
        return sorted(worst.values(), key=lambda r: -r.measured / r.limit if r.limit else 0.0)

    @property
    def exit_code(self) -> int:
        """0: all were caught, and nothing else; 1: not so; 3: some could not be tried."""
        if self.escaped or self.alarms:
            return 1
        return 3 if self.impossible else 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "exit_code": self.exit_code,
            "student": self.student,
            "faults": [
                {
                    "name": fault.name,
                    "concern": fault.concern,
                    "summary": fault.summary,
                    "seen_in": fault.seen_in,
                    "unit": fault.unit,
                    "limit": fault.limit,
                    "caught_by": fault.caught_by,
                    "refused_by": fault.refused_by,
                    "detected": {check: result.limit(check) for check in result.checks},
                    "escaped": self.escaped.get(fault.name, []),
                    "impossible": result.impossible,
                    "trials": [asdict(trial) for trial in result.trials],
                }
                for fault, result in zip(self.faults, self.results, strict=True)
            ],
            "clean_runs": len(self.clean),
            "clean_checks": sum(run.cases for run in self.clean),
            "false_alarms": self.alarms,
            "headroom": [reading._asdict() for reading in self.headroom],
        }


def chosen_faults(only: Collection[str], *, timed: bool = False) -> list[Fault]:
    """Faults by name or concern; all if none is named.

    Args:
        only: names and concerns.
        timed: also those that only a clock can tell; what is asked for by name is chosen anyhow.

    Raises:
        InputError: there is no such fault.
    """
    faults = all_faults()
    names = {fault.name for fault in faults}
    if unknown := sorted(set(only) - names - set(CONCERNS)):
        raise InputError(
            f"--only: unknown fault or concern: {', '.join(unknown)}; concerns: "
            f"{', '.join(CONCERNS)}; faults: {', '.join(sorted(names))}"
        )
    return [
        f
        for f in faults
        if f.name in only or ((not only or f.concern in only) and (timed or not f.is_timed))
    ]


def run_matrix(
    settings_path: Path,
    student: str,
    faults: Sequence[Fault],
    *,
    clean: int,
    jobs: int,
    cache: Path,
    on_done: Callable[[str], None] = lambda name: None,
) -> Matrix:
    """Plant every fault, and run the checks on what is healthy as often as asked.

    What is known already is not tried again, so that an interrupted run goes on where it was.
    Faults that only a clock can tell come last, one by one, with nothing beside them.

    Args:
        settings_path: of ``mlffd.toml``.
        student: to plant faults in.
        faults: to plant.
        clean: how many clean runs.
        jobs: how many processes at a time.
        cache: folder of what is known, and of exported files.
        on_done: called with the name of each piece of work as it ends.

    Raises:
        InputError: the student cannot be used, or is not healthy.
    """
    settings = load_settings(settings_path)
    folder = cache / _key(settings, student)
    exports = folder / "exports"
    exports.mkdir(parents=True, exist_ok=True)
    untimed = [fault.name for fault in faults if not fault.is_timed]
    with one_thread_each(), _pool(jobs) as pool:
        arguments = settings_path, student, folder
        work: dict[Future[None], str] = {
            pool.submit(_try, *arguments, name): name
            for name in untimed
            if not _result_path(folder, name).exists()
        }
        work |= {
            pool.submit(_run_clean, *arguments, number): f"clean run {number}"
            for number in range(clean)
            if not _clean_path(folder, number).exists()
        }
        for _ in range(len(untimed) + clean - len(work)):
            on_done("known already")
        try:
            for future in as_completed(work):
                future.result()
                on_done(work[future])
        except BaseException:  # an interrupt, too: what waits is not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for fault in faults:
        if fault.is_timed:
            if not _result_path(folder, fault.name).exists():
                _try(settings_path, student, folder, fault.name)
            on_done(fault.name)
    return Matrix(
        student,
        faults,
        [Result.read(_result_path(folder, fault.name)) for fault in faults],
        [CleanRun.read(_clean_path(folder, number)) for number in range(clean)],
    )


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=spawning(), initializer=end_with_parent)


def _try(settings_path: Path, student: str, folder: Path, name: str) -> None:
    (fault,) = chosen_faults([name])
    settings = load_settings(settings_path)
    result = try_fault(fault, settings, student, folder / "exports")
    result.write(_result_path(folder, name))


def _run_clean(settings_path: Path, student: str, folder: Path, number: int) -> None:
    run = run_clean(number, load_settings(settings_path), student, folder / "exports")
    run.write(_clean_path(folder, number))


def _result_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _clean_path(folder: Path, number: int) -> Path:
    return folder / f"clean-{number:04}.json"


def default_cache() -> Path:
    """Where what is known is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mlffd" / "faults"


def _key(settings: Settings, student: str) -> str:
    """Names all that results depend on: the code, PyTorch, the student, its golden and its data.

    Raises:
        InputError: the settings have no such student.
    """
    if student not in settings.students:
        known = ", ".join(settings.students) or "none"
        raise InputError(f"student {student!r}: not in the settings, which have: {known}")
    digest = hashlib.sha256(f"{torch.__version__} {student}".encode())
    of_student = settings.students[student]
    digest.update(read_checkpoint(of_student.checkpoint).fingerprint.encode())
    dataset = settings.datasets[of_student.dataset] if of_student.dataset else None
    files = [of_student.golden, of_student.counters, settings.source]
    files += [dataset.path, dataset.golden] if dataset else []
    for path in (*_code(), *(path for path in files if path is not None and path.exists())):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _code() -> Iterator[Path]:
    package = Path(mlffd.__file__).parent
    for pattern in _SOURCES:
        found = sorted(package.rglob(pattern))
        yield from (path for path in found if package / _SHOWS not in path.parents)
