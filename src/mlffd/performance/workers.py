"""Processes that run revisions: started, asked, and gone when they are no longer needed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mlffd.errors import MlffdError
from mlffd.performance import harness
from mlffd.performance.revisions import Built

_HARNESS = Path(harness.__file__).parent / "__main__.py"
#: Says to the allocator of glibc that freed memory is kept. By default a large tensor goes back to
#: the system when it is freed, and the next one costs page faults; whether that happens hangs on
#: where things lie. Of 187 atoms, processes of the same code differed by 10%, with this by 1.5%.
#: A head that allocates more is found by the counters, which have no noise at all.
_KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_TOP_PAD_": str(2**26),
}

#: Errors of a revision whose settings, code or files do not have what is asked for.
_LACKING = frozenset(
    {
        *("Unavailable", "InputError"),
        *("ImportError", "ModuleNotFoundError", "AttributeError", "TypeError"),
    }
)


class WorkerError(MlffdError):
    """A worker answered with an error, or died.

    Attributes:
        kind: name of the error's class in the worker; empty if it died.
    """

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def is_lacking(self) -> bool:
        """Whether the revision has no such thing, or nothing that works; else it failed at it.

        A process that died, or memory that ran out, says nothing about what a revision has.
        """
        return self.kind in _LACKING


class Worker:
    """One process of a revision.

    Args:
        built: the revision.
        exports: folder of its exported files.
    """

    def __init__(self, built: Built, exports: Path | None = None) -> None:
        # -P: nothing comes from the folder of the script, whose modules have common names.
        command = [sys.executable, "-P", str(_HARNESS), str(built.root)]
        self._process = subprocess.Popen(
            [*command, *([str(exports)] if exports else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**built.environment(), **_KEEP_MEMORY, "OMP_NUM_THREADS": "1"},
            cwd=built.root,
            text=True,
        )
        self.built = built

    def ask(self, command: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """Send a command, see `mlffd.performance.harness.serve`, and wait for the answer.

        Raises:
            WorkerError: it answered with an error, or did not answer.
        """
        self.send(command, **arguments)
        return self.receive()

    def send(self, command: str, **arguments: Any) -> None:  # noqa: ANN401
        """Send a command and do not wait: `receive` does."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: receive says so

    def receive(self) -> Any:  # noqa: ANN401
        """The answer to the earliest command that has none yet; errors as of `ask`."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise WorkerError(f"a worker of {self.built.commit[:12]} ended abruptly, with {code}")
        found: Mapping[str, Any] = json.loads(line)
        if "error" in found:
            raise WorkerError(
                f"{self.built.commit[:12]}: {found['error']['message']}", found["error"]["kind"]
            )
        return found["ok"]

    def stay_on(self, core: int) -> None:
        """Run on this core only, where the system lets anybody choose."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {core})

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def workers(*wanted: tuple[Built, Path | None], core: int | None = None) -> Iterator[list[Worker]]:
    """A worker of each revision with the folder of its exports; started together.

    Raises:
        WorkerError: one of them imports another mlffd than that of its revision.
    """
    with ExitStack() as stack:
        found = []
        for built, exports in wanted:
            worker = Worker(built, exports)
            stack.callback(worker.close)
            found.append(worker)
        for worker in found:
            worker.send("state")
        for worker in found:
            _require_own_package(worker, Path(worker.receive()["mlffd"]))
        if core is not None:  # only now: they start on all cores
            for worker in found:
                worker.stay_on(core)
        yield found


def _require_own_package(worker: Worker, package: Path) -> None:
    """Two workers of the same code would agree, and say nothing."""
    packages = worker.built.packages
    has_own = packages is not None and (packages / "mlffd").exists()
    if has_own and packages not in package.parents:
        raise WorkerError(
            f"{worker.built.commit[:12]}: a worker imports {package}, expected that of {packages}"
        )
