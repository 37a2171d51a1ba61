"""A map over processes that can be killed at any moment and goes on where it was.

Each unit of work leaves one part file in a folder beside the target, written aside and renamed: it
is whole or not there. Starting again computes only the parts that are missing.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from mlffd.errors import InputError
from mlffd.files import write_atomically, write_text_atomically
from mlffd.processes import cores, end_with_parent, one_thread_each, spawning

P = TypeVar("P")

_MANIFEST = "manifest.json"
_SUFFIX = ".json"


def parts_folder(target: Path) -> Path:
    """Where the parts of a target are until it is complete."""
    return target.with_name(f".{target.name}.parts")


def run_units(
    worker: Callable[[P, Path], None],
    payload: Callable[[int], P],
    count: int,
    *,
    target: Path,
    settings: Mapping[str, str | int | float],
    jobs: int | None,
    on_done: Callable[[int], None],
) -> list[Path]:
    """Compute the parts of a target that are not there yet.

    Args:
        worker: writes the part of a payload to the path that it is given; a function of a module,
            called in other processes, which have one thread each.
        payload: what the worker is to do for a unit, by its index; can be pickled.
        count: units.
        target: the file that the parts are for. They are in a folder beside it, which the caller
            removes with `remove_parts` when the target is written.
        settings: everything that the parts depend on.
        jobs: processes; as many as there are cores if None.
        on_done: called with the number of parts that are there, before the first and after each.

    Returns:
        The part of each unit, in order.

    Raises:
        InputError: there are parts made with other settings, they cannot be written, or a process
            was killed; what the worker raises, too.
    """
    jobs = jobs or cores()
    folder = parts_folder(target)
    _prepare(folder, target, settings)
    parts = [folder / f"{index:06d}{_SUFFIX}" for index in range(count)]
    missing = iter([index for index, part in enumerate(parts) if not part.exists()])
    done = sum(part.exists() for part in parts)
    on_done(done)
    if done == count:
        return parts
    with one_thread_each(), _executor(min(jobs, count - done)) as executor:
        pending: set[Future[None]] = set()
        try:
            while True:
                # A few at a time: payloads may be large.
                while len(pending) < 3 * jobs and (index := next(missing, None)) is not None:
                    unit = executor.submit(_run_unit, worker, payload(index), parts[index])
                    pending.add(unit)
                if not pending:
                    return parts
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for unit in finished:
                    unit.result()
                    on_done(done := done + 1)
        except BrokenProcessPool as error:
            raise InputError(
                f"{target}: a process ended abruptly (killed, or out of memory?); what is done is"
                " kept: the same command goes on"
            ) from error
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def remove_parts(target: Path) -> None:
    """Remove the parts of a target that is complete.

    The manifest goes last: without it, what a kill leaves of the parts could be taken for those
    of other settings.
    """
    folder = parts_folder(target)
    for part in folder.glob(f"[0-9]*{_SUFFIX}"):
        part.unlink()
    shutil.rmtree(folder)


def _prepare(folder: Path, target: Path, settings: Mapping[str, str | int | float]) -> None:
    """Make the folder with its manifest, or see that the one that is there fits."""
    manifest = folder / _MANIFEST
    try:
        folder.mkdir(exist_ok=True)
        # Without a manifest there are no parts: it is written first.
        found = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else None
    except (OSError, ValueError) as error:
        raise InputError(f"{target}: cannot keep parts in {folder}: {error}") from error
    if found is None:
        write_text_atomically(manifest, json.dumps(dict(settings), indent=1))
        return
    if not isinstance(found, dict):
        found = {}
    differing = [key for key in sorted({*found, *settings}) if found.get(key) != settings.get(key)]
    if differing:
        key = differing[0]
        raise InputError(
            f"{folder}: holds parts made with {key} {found.get(key)!r}, not {settings.get(key)!r};"
            " go on with the same command, or remove the folder to start again"
        )


def _run_unit(worker: Callable[[P, Path], None], payload: P, part: Path) -> None:
    write_atomically(part, lambda aside: worker(payload, aside))


def _executor(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=spawning(), initializer=end_with_parent)
