"""What asv measured of students: seconds per structure, and errors, of each commit."""

import ast
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import urlencode

from mlffd.optional import import_optional

#: Which benchmarks those are, and the runtime and precision that they are of; None: a parameter
#: says it. asv's unit does not tell them from others: of all that it times itself it is seconds.
PROGRAMS = {
    "inference.EagerPerStructure.time_energy_and_forces": "eager/fp32",
    "inference.DoublePrecision.time_energy_and_forces": "eager/fp64",
    "inference.Runtimes.time_energy_and_forces": None,
}


#: Errors of students, and what the history calls them.
QUANTITIES = {
    "accuracy.Forces.track_rmse": "force_rmse",
    "accuracy.Energy.track_rmse": "energy_rmse",
}


@dataclass(frozen=True)
class MeasuredError:
    """An error of a student on its labelled structures, at one commit.

    Attributes:
        machine: asv's name of it.
        commit: its full name.
        student: by name.
        quantity: ``force_rmse`` in eV/Å or ``energy_rmse`` in eV per atom.
        value: that it has.
    """

    machine: str
    commit: str
    student: str
    quantity: str
    value: float


@dataclass(frozen=True)
class Measurement:
    """A time of one commit.

    Attributes:
        machine: asv's name of it.
        commit: its full name.
        student: by name.
        program: runtime and precision, ``eager/fp32``.
        device: ``cpu`` or ``cuda``.
        system: what it was timed on, ``batch8``.
        seconds: per structure.
        page: of the series on asv's site, relative to it.
    """

    machine: str
    commit: str
    student: str
    program: str
    device: str
    system: str
    seconds: float
    page: str


def read_measurements(configuration: Any) -> list[Measurement]:  # noqa: ANN401
    """All times of students among asv's results; what was skipped or failed is left out.

    Args:
        configuration: of asv, see `mlffd.performance.site.publishing.read_configuration`.
    """
    # One commit may have been measured in several environments: the last one counts.
    found: dict[tuple[str, ...], Measurement] = {}
    for value in _values(configuration, PROGRAMS):
        given = value.given
        one = Measurement(
            value.machine,
            value.commit,
            given["student"],
            PROGRAMS[value.benchmark] or _program(given["runtime"]),
            given["device"],
            given["system"],
            value.number,
            value.page,
        )
        key = (one.machine, one.commit, one.student, one.program, one.device, one.system)
        found[key] = one
    return list(found.values())


def read_errors(configuration: Any) -> list[MeasuredError]:  # noqa: ANN401
    """All errors of students among asv's results; arguments as of `read_measurements`."""
    found: dict[tuple[str, ...], MeasuredError] = {}
    for value in _values(configuration, QUANTITIES):
        key = (value.machine, value.commit, value.given["student"], QUANTITIES[value.benchmark])
        found[key] = MeasuredError(*key, value.number)
    return list(found.values())


class _Value(NamedTuple):
    """A number of a benchmark at one combination of its parameters."""

    benchmark: str
    machine: str
    commit: str
    given: dict[str, str]
    page: str
    number: float


def _values(configuration: Any, wanted: Collection[str]) -> Iterator[_Value]:  # noqa: ANN401
    benchmarks = import_optional("asv.benchmarks", extra="perf").Benchmarks.load(configuration)
    results = import_optional("asv.results", extra="perf")
    for result in results.iter_results(configuration.results_dir):
        machine, commit = str(result.params["machine"]), str(result.commit_hash)
        for name in sorted(set(wanted) & result.get_result_keys(benchmarks)):
            names, params = benchmarks[name]["param_names"], benchmarks[name]["params"]
            numbers = result.get_result_value(name, params)
            for shown, number in zip(product(*params), numbers, strict=True):
                if number is None or not math.isfinite(number) or number <= 0:
                    continue
                page = _page(name, machine, dict(zip(names, shown, strict=True)))
                given = dict(zip(names, map(_value, shown), strict=True))
                yield _Value(name, machine, commit, given, page, float(number))


def _program(runtime: str) -> str:
    """Runtime and precision: a runtime may come with one, ``onnx/int8-weights``."""
    return runtime if "/" in runtime else f"{runtime}/fp32"


def _value(shown: str) -> str:
    """A parameter; asv stores how Python would write it."""
    try:
        return str(ast.literal_eval(shown))
    except (ValueError, SyntaxError):
        return shown


def _page(name: str, machine: str, given: dict[str, str]) -> str:
    selected = {"machine": machine, **{f"p-{key}": value for key, value in given.items()}}
    return f"#{name}?{urlencode(selected)}"
