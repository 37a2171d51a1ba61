"""Which tests reach which lines, and running some of them in a process of their own."""

import gc
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import coverage
import pytest
from mutants import Mutant

from mlffd.files import write_text_atomically

SOURCES = Path("src/mlffd")

#: Of pytest: nothing but the tests, whatever else is installed. The first failure ends it; what
#: waits for ever is ended here.
_ARGUMENTS = (
    *("-x", "-q", "-o", "addopts=", "-o", "faulthandler_timeout=0"),
    *("-p", "no:cacheprovider", "--assert=plain"),
)
#: So many seconds by the clock may pass for each that is allowed of a processor.
_IDLE = 6
#: Bytes more than the process has already.
_MEMORY = 4 << 30


@dataclass(frozen=True)
class Baseline:
    """What the tests do while nothing is changed.

    Attributes:
        seconds: of each test, of the processor, by node id.
        lines: that each test executes, by file and test; the constants of a module are reached by
            whatever reaches the module.
        modules: that they import.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[str, frozenset[int]]]
    modules: Sequence[str]

    @classmethod
    def measured(cls, folders: Sequence[Path], packages: Sequence[str], kept: Path) -> "Baseline":
        """Run all tests once, unless that was done for the same sources and tests.

        Args:
            folders: of the tests.
            packages: of mlffd, of which lines are told.
            kept: where what was found is kept.

        Raises:
            RuntimeError: one fails.
        """
        state = digest_of([*folders, *(SOURCES / package for package in packages)])
        found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if found.get("state") != state:
            found = in_a_fork(lambda: {"state": state, **_measure(folders, packages)}, None)
            if found is None or found["failed"]:
                raise RuntimeError(f"tests fail without any mutant: {found and found['failed']}")
            write_text_atomically(kept, json.dumps(found))
        lines = {
            file: {test: frozenset(reached) for test, reached in by_test.items()}
            for file, by_test in found["lines"].items()
        }
        return cls(found["seconds"], lines, found["modules"])

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Those that could kill a mutant, the most promising first.

        Those that execute its function. What is executed when the module is imported can have an
        effect wherever its names are used: all that reach the module or one that imports it, and
        all in files that import it, for a class of Pydantic's has no line to execute. A decorator
        may register something: all that reach a module that its own is from, too.
        """
        path = mutant.path.as_posix()
        if mutant.body is not None:
            first, last = mutant.body
            here = self.lines.get(path, {})
            found = {
                test: mutant.line in reached
                for test, reached in here.items()
                if any(first <= line <= last for line in reached)
            }
        else:
            found = dict.fromkeys(self.lines.get(path, {}), True)
            others = _users(mutant.path)
            if mutant.operator == "RemoveDecorator":
                others += _used(mutant.path)
            for other in others:
                for test in self.lines.get(other, {}):
                    found.setdefault(test, False)
            for test in self.seconds:
                if _imports(Path(test.partition("::")[0]), mutant.path):
                    found.setdefault(test, False)
        return sorted(found, key=lambda test: (not found[test], self.seconds[test]))


@cache
def _users(path: Path) -> tuple[str, ...]:
    """The modules of the package that import a module."""
    return tuple(
        other.as_posix() for other in sorted(SOURCES.rglob("*.py")) if _imports(other, path)
    )


@cache
def _imports(importer: Path, path: Path) -> bool:
    """Whether a file imports a module of the package."""
    name = ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts)
    parent, _, last = name.rpartition(".")
    text = _text(importer)
    return f"from {name} import" in text or f"from {parent} import {last}\n" in text


@cache
def _used(path: Path) -> tuple[str, ...]:
    """The modules of the package that a module imports names from."""
    names = re.findall(r"^from (mlffd[.\w]+) import", _text(path), re.MULTILINE)
    return tuple(f"{SOURCES.parent / name.replace('.', '/')}.py" for name in names)


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def digest_of(folders: Sequence[Path]) -> str:
    """Of the content of all modules in some folders."""
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return digest(b"".join(path.read_bytes() for path in files))


def digest(content: bytes) -> str:
    """Short, to tell contents apart."""
    return hashlib.sha256(content).hexdigest()[:16]


class _Recorder:
    """A plugin of pytest: times tests, tells coverage which one runs, keeps what failed."""

    def __init__(self, measured: coverage.Coverage | None = None) -> None:
        self.coverage = measured
        self.seconds: dict[str, float] = {}
        self.failed: dict[str, str] | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if self.coverage:
            self.coverage.switch_context(item.nodeid)
        started = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - started

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = {"test": report.nodeid, "file": report.nodeid.partition("::")[0]}


def _measure(folders: Sequence[Path], packages: Sequence[str]) -> dict[str, Any]:
    sources = [str(SOURCES / package) for package in packages]
    measured = coverage.Coverage(data_file=None, config_file=False, source=sources)
    recorder = _Recorder(measured)
    measured.start()
    code = pytest.main([*_ARGUMENTS, *map(str, folders)], plugins=[recorder])
    measured.stop()
    data = measured.get_data()
    lines: dict[str, dict[str, list[int]]] = {}
    for file in data.measured_files():
        by_test: dict[str, list[int]] = {}
        for line, tests in data.contexts_by_lineno(file).items():
            for test in filter(None, tests):
                by_test.setdefault(test, []).append(line)
        lines[Path(file).relative_to(Path.cwd()).as_posix()] = by_test
    return {
        "failed": code and (recorder.failed or {"test": f"pytest ends with {code}"})["test"],
        "seconds": recorder.seconds,
        "lines": lines,
        "modules": sorted(sys.modules),
    }


def run_tests(tests: Sequence[str], *, mutant: Mutant) -> dict[str, Any]:
    """Run tests with a mutant in place; the process is of no use afterwards."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    size = used * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    sys.meta_path.insert(0, _Planter(mutant))
    recorder = _Recorder()
    try:
        code = pytest.main([*_ARGUMENTS, *tests], plugins=[recorder])
    except Exception:  # a StopIteration that nobody catches ends pytest's own generators
        code = pytest.ExitCode.INTERNAL_ERROR
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
        # What ends pytest itself is noticed, too; that it finds no test is a fault of this program.
        assert code is not pytest.ExitCode.NO_TESTS_COLLECTED, tests
    outcome = "survived" if code is pytest.ExitCode.OK else "killed"
    return {"outcome": outcome, "killer": recorder.failed}


class _Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from the mutant's source instead of its file."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.name = ".".join(mutant.path.relative_to(SOURCES.parent).with_suffix("").parts)

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, self.mutant.path.absolute(), loader=self
        )

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        code = compile(self.mutant.source, str(self.mutant.path), "exec")
        exec(code, vars(module))  # noqa: S102 - the mutant is this project's own code


class _Barrier(importlib.abc.MetaPathFinder):
    """Lets nothing of one package be imported."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == self.package or fullname.startswith(f"{self.package}."):
            raise ImportError(f"{fullname}: is not to be imported yet")


def preload(modules: Sequence[str], *, without: str) -> None:
    """Import what tests import, but a package of mlffd, what needs it, and the tests themselves."""
    barrier = _Barrier(f"mlffd.{without}")
    sys.meta_path.insert(0, barrier)
    for name in modules:
        spec = None
        try:
            spec = importlib.util.find_spec(name)
            if (
                spec is None
                or spec.origin is None
                or Path.cwd() / "tests" in Path(spec.origin).parents
            ):
                continue
            importlib.import_module(name)
        except Exception:  # noqa: S112 - then the tests import it themselves
            continue
    sys.meta_path.remove(barrier)
    gc.freeze()  # or pytest would look through all of it again, twice for every mutant


def in_a_fork(work: Callable[[], dict[str, Any]], limit: int | None) -> dict[str, Any] | None:
    """What a function returns in a process of its own; None if a signal ends that.

    Args:
        work: whose result is JSON.
        limit: seconds of the processor, after which it is ended, so that a busy machine ends
            nothing; None: as long as it takes.

    Raises:
        RuntimeError: it raises an error.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
                signal.alarm(_IDLE * limit)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(1, 2)
            with os.fdopen(writing, "w", encoding="utf-8") as stream:
                json.dump(work(), stream)
        except BaseException:  # whatever it was: the process ends here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    if os.WEXITSTATUS(status):
        raise RuntimeError("a process ended with an error")
    found: dict[str, Any] = json.loads(text)
    return found
