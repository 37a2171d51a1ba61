"""One thing to time: a student in a runtime, on a device, with one system."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .systems import SYSTEMS, system

#: By the name of a runtime that runs an exported file: what those files' names end in.
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "torch-export": ".pt2", "aoti": ".pt2"}
RUNTIMES = ("eager", "compiled", *SUFFIXES)
_FIELDS = 5


class Unavailable(Exception):  # noqa: N818 - the revision's fault or nobody's, but no error
    """The revision has no such student, runtime or file: there is nothing to compare."""


@dataclass(frozen=True)
class Workload:
    """What is timed: energies and forces of a prepared batch.

    Attributes:
        student: name in the settings of the revision.
        runtime: one of `RUNTIMES`.
        precision: ``fp32``, ``fp64``, or of an exported file another one.
        device: ``cpu`` or ``cuda``.
        system: one of `SYSTEMS`.
    """

    student: str
    runtime: str = "eager"
    precision: str = "fp32"
    device: str = "cpu"
    system: str = "batch8"

    @property
    def name(self) -> str:
        """Public, in reports and histories: all fields, in order."""
        return "/".join((self.student, self.runtime, self.precision, self.device, self.system))

    @classmethod
    def parse(cls, name: str) -> Self:
        """The workload of a name.

        Raises:
            ValueError: it is no name of one; the message says what was expected.
        """
        parts = name.split("/")
        if len(parts) != _FIELDS:
            raise ValueError(f"{name!r}, expected STUDENT/RUNTIME/PRECISION/DEVICE/SYSTEM")
        _, runtime, _, device, wanted = parts
        for what, found, known in (
            ("runtime", runtime, RUNTIMES),
            ("device", device, ("cpu", "cuda")),
            ("system", wanted, SYSTEMS),
        ):
            if found not in known:
                raise ValueError(f"{name!r}: {what} {found!r}, expected one of {', '.join(known)}")
        return cls(*parts)


@dataclass(frozen=True)
class Prepared:
    """A workload that is ready.

    Attributes:
        call: predicts once; what it returns stays on the device, unsynchronized.
        structures: in the batch.
        atoms: in the batch.
        edges: in the batch.
    """

    call: Callable[[], Any]
    structures: int
    atoms: int
    edges: int


def prepare(workload: Workload, root: Path, exports: Path | None = None) -> Prepared:
    """Load the student and collate the batch; the first call, which warms up, is made here.

    Args:
        workload: what is to be timed.
        root: the checkout of the revision, with its settings.
        exports: folder of the revision's exported files.

    Raises:
        Unavailable: the revision has no such student, runtime or file.
    """
    return prepare_potential(potential_of(workload, root, exports), workload.system)


def prepare_potential(potential: Any, name: str) -> Prepared:  # noqa: ANN401 - the revision's own
    """As `prepare`, of a potential that is there already.

    Args:
        potential: what is to be called.
        name: of the system, one of `SYSTEMS`.
    """
    from mlffd.runtimes.potential import collate_for

    structures = system(name)
    batch = collate_for(potential, structures)

    def call() -> Any:  # noqa: ANN401 - a Prediction of the revision's own
        return potential(batch)

    call()
    return Prepared(
        call, len(structures), sum(len(s) for s in structures), int(batch.edge_index.shape[1])
    )


def potential_of(workload: Workload, root: Path, exports: Path | None = None) -> Any:  # noqa: ANN401
    """The student in its runtime; arguments and errors as of `prepare`."""
    import torch

    from mlffd import load_checkpoint, load_potential

    path = checkpoint_of(workload.student, root)
    dtypes = {"fp32": torch.float32, "fp64": torch.float64}
    if workload.runtime in SUFFIXES:
        return _exported(workload, exports)
    if workload.precision not in dtypes:
        raise Unavailable(f"{workload.name}: {workload.runtime} runs in {' and '.join(dtypes)}")
    dtype = dtypes[workload.precision]
    if workload.runtime == "eager":
        return load_potential(path, device=workload.device, dtype=dtype)
    try:
        from mlffd.runtimes.compiled import CompiledPotential
    except ImportError as error:
        raise Unavailable(f"{workload.name}: {error}") from error
    return CompiledPotential(load_checkpoint(path), device=workload.device, dtype=dtype)


def _exported(workload: Workload, exports: Path | None) -> Any:  # noqa: ANN401
    name = f"{workload.student}-{workload.runtime}-{workload.precision}{SUFFIXES[workload.runtime]}"
    if exports is None or not (exports / name).exists():
        raise Unavailable(f"{workload.name}: {name} is not in {exports or 'a folder of exports'}")
    try:
        from mlffd.runtimes.opening import open_artifact
    except ImportError as error:
        raise Unavailable(f"{workload.name}: {error}") from error
    return open_artifact(exports / name, device=workload.device, threads=1)


def checkpoint_of(student: str, root: Path) -> Path:
    """The checkpoint of a student; the settings are read as they stand, for old ones differ.

    Raises:
        Unavailable: there are none, or they do not name it.
    """
    settings = root / "mlffd.toml"
    try:
        data = tomllib.loads(settings.read_text(encoding="utf-8"))
        return root / str(data["students"][student]["checkpoint"])
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Unavailable(f"{settings}: names no checkpoint of a student {student!r}") from error
