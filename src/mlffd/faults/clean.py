"""Clean runs: nothing is planted, and nothing may fail, however the checks are run."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self
from unittest.mock import patch

import numpy as np
import torch

from mlffd.checks.cases import plan
from mlffd.checks.subjects import Subject
from mlffd.config import Settings
from mlffd.errors import InputError, MissingPackageError
from mlffd.faults.healthy import Healthy
from mlffd.files import write_text_atomically
from mlffd.runtimes import potential
from mlffd.structures import probes
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

#: Every so many runs, what takes long is run, too.
_SELDOM = 10
_SLOW = frozenset({"nve_conservation", "counters"})
_FORMATS = (
    ("safetensors", "fp32"),
    ("torchscript", "fp32"),
    ("onnx", "fp32"),
    ("safetensors", "int8-weights"),
    ("torchscript", "fp64"),
    ("onnx", "fp64"),
)


class Reading(NamedTuple):
    """What was measured of a criterion.

    Attributes:
        name: of the check and of the criterion, with a dot between them.
        measured: in ``unit``.
        limit: the most that it may be.
        unit: of both.
    """

    name: str
    measured: float
    limit: float
    unit: str


@dataclass(frozen=True)
class CleanRun:
    """Every check of a healthy student, its data set and an export, run in some way.

    Attributes:
        number: of the run; decides how.
        cases: how many checks were run.
        alarms: those that did not pass, with what they said.
        readings: of every criterion.
    """

    number: int
    cases: int
    alarms: Sequence[str]
    readings: Sequence[Reading]

    def write(self, path: Path) -> None:
        """Write it as JSON; the file is whole or not there."""
        write_text_atomically(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote.

        Raises:
            InputError: something else is in the file.
        """
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(readings=[Reading(*values) for values in found.pop("readings")], **found)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: not the result of a clean run; remove it: {error}"
            ) from error


def run_clean(number: int, settings: Settings, student: str, exports: Path) -> CleanRun:
    """Run the checks on what is healthy.

    What differs from run to run: where probe molecules are rattled to, the number of threads, the
    size of batches, PyTorch's default dtype, the order of checks, and which export is looked at.

    Args:
        number: decides all of that.
        settings: that name the student.
        student: to check.
        exports: folder for exported files.
    """
    rng = np.random.default_rng(number)
    with TemporaryDirectory(prefix="mlffd-clean-") as folder, _in_some_way(number, rng):
        healthy = Healthy(settings, student, Path(folder), exports)
        cases = plan(_subjects(healthy, number)).cases
        ordered = [cases[i] for i in rng.permutation(len(cases))]
        ran = [c for c in ordered if c.check.name not in _SLOW or number % _SELDOM == 0]
        found = [case.run() for case in ran]
    alarms = [
        f"{e.subject}-{e.check}: {e.verdict}: {e.message}"
        for e in found
        if e.verdict is not Verdict.PASS
    ]
    readings = [
        Reading(f"{e.check}.{c.name}", float(c.measured), float(c.limit), c.unit)
        for e in found
        for c in e.criteria
    ]
    return CleanRun(number, len(ran), alarms, readings)


def _subjects(healthy: Healthy, number: int) -> list[Subject]:
    subjects: list[Subject] = [healthy.student(), healthy.dataset()]
    try:
        return [*subjects, healthy.artifact(*_FORMATS[number % len(_FORMATS)])]
    except MissingPackageError:
        return [*subjects, healthy.artifact()]


@contextmanager
def _in_some_way(number: int, rng: np.random.Generator) -> Iterator[None]:
    """Other rattles, threads, dtypes and batches."""
    batches = {
        "stress": False,
        "max_atoms": int(rng.choice([64, 500, 2048])),
        "max_structures": int(rng.choice([1, 7, 64])),
    }
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(int(rng.integers(1, 5)))
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64 if rng.integers(2) else torch.float32)
        stack.enter_context(patch.object(probes, "rattled", _rattled_otherwise(number)))
        stack.enter_context(patch.object(potential.predict, "__kwdefaults__", batches))
        yield


def _rattled_otherwise(number: int) -> Callable[..., Structure]:
    original = probes.rattled

    def rattled(structure: Structure, seed: int, *amplitude: float) -> Structure:
        return original(structure, seed + 10_000 * number, *amplitude)

    return rattled
