"""Other processes that share the work: one thread each, and none that outlives this one."""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import NamedTuple, Self, TypeVar

from mlffd.errors import MlffdError

P = TypeVar("P")

#: Results that depend on the number of threads would not be the same bit for bit; and processes
#: that have all cores to themselves need no threads. Where a program in one of them asks for more
#: all the same, its threads sleep while they wait: spinning, they would take the others' cores.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def cores() -> int:
    """That this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux knows
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def spawning() -> SpawnContext:
    """How to start processes: a forked one has the threads' settings and locks of this one."""
    return multiprocessing.get_context("spawn")


def end_with_parent() -> None:
    """In a new process: end at once with the terminal's Ctrl-C, and with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=[parent.sentinel], daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that start in here have one thread: it is too late once they run."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class Failure:
    """Why a piece of work was not done.

    Attributes:
        message: for a person, one line if nothing unforeseen happened.
        exit_code: that it would end a command with.
        kind: name of the error's class; empty if the process died.
    """

    message: str
    exit_code: int
    kind: str = ""

    @classmethod
    def from_error(cls, error: Exception) -> Self:
        """What to say of an error; of one that is not mlffd's own, its class, too."""
        kind = type(error).__name__
        if isinstance(error, MlffdError):
            return cls(str(error), error.exit_code, kind)
        return cls(f"{kind}: {error}", MlffdError.exit_code, kind)


class Ended(NamedTuple):
    """How the work on a payload ended.

    Attributes:
        number: of the payload, from zero.
        seconds: that it took, the start of the process included.
        failure: None: there was none.
    """

    number: int
    seconds: float
    failure: Failure | None


def run_apart(worker: Callable[[P], None], payloads: Iterable[P], *, jobs: int) -> Iterator[Ended]:
    """Call a function for each payload, each in a process of its own, several at a time.

    Unlike in a pool, one that crashes takes nothing else along. Whoever stops iterating, by an
    interrupt for example, has no process left when the iterator is closed.

    Args:
        worker: a function of a module.
        payloads: can be pickled.
        jobs: how many processes at a time, with one thread each.

    Yields:
        How each ended, as they end.
    """
    running: dict[Connection, tuple[int, float, SpawnProcess]] = {}
    waiting = enumerate(payloads)
    try:
        while True:
            while len(running) < jobs and (following := next(waiting, None)) is not None:
                index, payload = following
                receiver, process = _start(worker, payload)
                running[receiver] = index, time.monotonic(), process
            if not running:
                return
            ready = wait(list(running))
            for receiver in [receiver for receiver in running if receiver in ready]:
                index, started, process = running[receiver]
                failure = _failure(receiver, process)
                del running[receiver]
                yield Ended(index, time.monotonic() - started, failure)
    finally:
        for _, _, process in running.values():
            process.kill()
            process.join()


def _start(worker: Callable[[P], None], payload: P) -> tuple[Connection, SpawnProcess]:
    context = spawning()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=[worker, payload, sender])
    with one_thread_each():
        process.start()
    sender.close()  # so that its end in the process is the only one, and its death is noticed
    return receiver, process


def _work(worker: Callable[[P], None], payload: P, sender: Connection) -> None:
    end_with_parent()
    try:
        worker(payload)
    except Exception as error:
        if not isinstance(error, MlffdError):
            traceback.print_exc()
        sender.send(Failure.from_error(error))
    else:
        sender.send(None)


def _failure(receiver: Connection, process: SpawnProcess) -> Failure | None:
    try:
        failure: Failure | None = receiver.recv()
    except EOFError:
        process.join()
        return Failure(
            f"a process ended abruptly, with {process.exitcode} (killed, or out of memory?)",
            MlffdError.exit_code,
        )
    process.join()
    return failure
