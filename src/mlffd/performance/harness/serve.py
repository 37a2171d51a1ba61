"""A worker that prepares workloads once and measures them again and again.

It reads commands from standard input and answers on standard output, one JSON object a line; see
`Worker` for the commands. The answer to what fails is ``{"error": {"kind": ..., "message": ...}}``.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .clocks import clock_for, device_state
from .counters import count
from .workloads import Prepared, Unavailable, Workload, potential_of, prepare


class Worker:
    """Answers commands; each public method is one, its arguments are the command's.

    Args:
        root: the checkout of the revision that is measured.
        exports: folder of its exported files.
    """

    def __init__(self, root: Path, exports: Path | None = None) -> None:
        self.root, self.exports = root, exports
        self._prepared: dict[str, Prepared] = {}
        self._burden = torch.linspace(0.0, 1.0, 256)

    def prepare(self, name: str) -> dict[str, int]:
        """Make a workload ready; says how large it is."""
        found = prepare(Workload.parse(name), self.root, self.exports)
        self._prepared[name] = found
        return {"structures": found.structures, "atoms": found.atoms, "edges": found.edges}

    def measure(self, name: str, calls: int, burden: int = 0) -> dict[str, list[float]]:
        """Seconds of each of so many calls.

        Args:
            name: of a prepared workload.
            calls: how many.
            burden: a planted slowdown: how many small operations to do besides, in each call.
        """
        call = self._prepared[name].call
        clock = clock_for(Workload.parse(name).device)
        return clock.measure(self._burdened(call, burden) if burden else call, calls)._asdict()

    def count(self, name: str) -> dict[str, int]:
        """The deterministic counters of a prepared workload."""
        return count(self._prepared[name].call)

    def predict(self, student: str, data: str, out: str) -> dict[str, int]:
        """Write what the student in eager float32 predicts for a data set to an ``.npz``.

        ``energy [B]`` in eV and ``forces [N, 3]`` in eV/Å of all structures, in order.
        """
        import mlffd
        from mlffd.runtimes.potential import predict

        potential = potential_of(Workload(student), self.root)
        found = predict(potential, mlffd.Dataset(data))
        np.savez(
            out,
            energy=np.array([p.energy for p in found]),
            forces=np.concatenate([p.forces for p in found]),
        )
        return {"structures": len(found)}

    def state(self, device: str = "cpu") -> dict[str, str]:
        """See `device_state`; ``mlffd`` is the file of the package that is measured."""
        import mlffd

        return {**device_state(device), "mlffd": str(mlffd.__file__)}

    def _burdened(self, call: Callable[[], Any], burden: int) -> Callable[[], Any]:
        def burdened() -> Any:  # noqa: ANN401
            for _ in range(burden):
                torch.tanh(self._burden)
            return call()

        return burdened


COMMANDS = ("prepare", "measure", "count", "predict", "state")


def answer(worker: Worker, line: str) -> dict[str, Any]:
    """What to answer to a line: ``{"command": NAME, **arguments}``."""
    try:
        asked = json.loads(line)
        command = asked.pop("command")
        if command not in COMMANDS:
            raise ValueError(f"command {command!r}, expected one of {', '.join(COMMANDS)}")
        return {"ok": getattr(worker, command)(**asked)}
    except Unavailable as error:
        return {"error": {"kind": "Unavailable", "message": str(error)}}
    except Exception as error:  # whatever a revision does, the worker lives on
        return {"error": {"kind": type(error).__name__, "message": str(error)}}


def main() -> None:
    """Serve until standard input ends."""
    root, exports, *_ = [*map(Path, sys.argv[1:]), None]
    assert root is not None
    # What the revision or its libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    worker = Worker(root, exports)
    for line in sys.stdin:
        answers.write(json.dumps(answer(worker, line)) + "\n")
        answers.flush()
