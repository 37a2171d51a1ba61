"""The pytest plugin: the same cases as ``mlffd check``, one test each.

Loaded in every test session of an environment that has mlffd, so it imports nothing heavy until
it is asked for something.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlffd.settings_file import FILE_NAME, find_settings

if TYPE_CHECKING:
    from mlffd.checks.cases import Case
    from mlffd.checks.evidence import Evidence
    from mlffd.report.session import SessionReport

_SETTINGS = pytest.StashKey[Path]()

_CONCERNS = ("loading", "golden", "physics", "exports", "data", "speed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, all prefixed: other plugins have theirs."""
    group = parser.getgroup("mlffd", "regression tests of machine-learned force fields")
    group.addoption(
        "--mlffd",
        action="store_true",
        help=f"run the checks of the {FILE_NAME} in or above the root",
    )
    group.addoption("--mlffd-json", metavar="FILE", type=Path, help="write all evidence as JSON")
    group.addoption(
        "--mlffd-propose",
        metavar="FILE",
        type=Path,
        help="write what the goldens would be now, for `mlffd golden accept --proposed FILE`",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register markers, find the settings, share out the cores, collect evidence."""
    for concern in _CONCERNS:
        config.addinivalue_line("markers", f"mlffd_{concern}: checks of concern {concern!r}")
    path = find_settings(config.rootpath)
    if path is None:
        for option in ("--mlffd", "--mlffd-json", "--mlffd-propose"):
            if config.getoption(option):
                raise pytest.UsageError(
                    f"{option}: no {FILE_NAME} in {config.rootpath} or in a folder above"
                )
        return
    config.stash[_SETTINGS] = path
    if config.getoption("--mlffd"):
        # Collected like a test file; workers of pytest-xdist get the list from the controller.
        named = {Path(argument.split("::")[0]).name for argument in config.args}
        if FILE_NAME not in named:
            config.args.append(str(path))
    if hasattr(config, "workerinput"):
        return
    _share_cores(config)
    config.pluginmanager.register(_session_report(config, path), "mlffd-session-report")


def _session_report(config: pytest.Config, settings: Path) -> "SessionReport":
    from mlffd.errors import InputError
    from mlffd.report.session import SessionReport

    try:
        return SessionReport(
            settings,
            json=config.getoption("--mlffd-json"),
            proposals=config.getoption("--mlffd-propose"),
        )
    except InputError as error:
        raise pytest.UsageError(str(error)) from error


def _share_cores(config: pytest.Config) -> None:
    """Give each xdist worker its share of the cores before it starts; more only wait on locks."""
    workers = len(config.getoption("tx", None) or ()) or config.getoption("numprocesses", 0) or 0
    if workers:
        share = max(1, (os.cpu_count() or 1) // int(workers))
        os.environ.setdefault("OMP_NUM_THREADS", str(share))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name what is under test."""
    settings = config.stash.get(_SETTINGS, None)
    if settings is None:
        return []
    from mlffd.config import load_settings
    from mlffd.errors import InputError

    try:
        loaded = load_settings(settings)
    except InputError as error:
        return [f"mlffd: {error}"]
    students = ", ".join(
        f"{n} ({_relative(s.checkpoint, config)})" for n, s in loaded.students.items()
    )
    datasets = ", ".join(f"{n} ({_relative(d.path, config)})" for n, d in loaded.datasets.items())
    artifacts = ", ".join(f"{n} ({_relative(a.path, config)})" for n, a in loaded.artifacts.items())
    where = _relative(settings, config)
    header = f"mlffd: {where}: students: {students or 'none'}; data sets: {datasets or 'none'}"
    return [f"{header}; artifacts: {artifacts}" if artifacts else header]


def _relative(path: Path, config: pytest.Config) -> str:
    return os.path.relpath(path, config.rootpath)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SettingsFile | None":
    """With ``--mlffd``, the settings are a file of tests."""
    config = parent.config
    if config.getoption("--mlffd") and file_path == config.stash.get(_SETTINGS, None):
        # Outside the root, pytest would leave the file out of the names of its tests.
        nodeid = Path(_relative(file_path, config)).as_posix()
        collected: SettingsFile = SettingsFile.from_parent(parent, path=file_path, nodeid=nodeid)
        return collected
    return None


class SettingsFile(pytest.File):
    """A ``mlffd.toml`` as a collection of cases."""

    def collect(self) -> Iterator["CaseItem"]:
        """One item for each case."""
        from mlffd.checks.cases import configured_subjects, plan
        from mlffd.config import load_settings
        from mlffd.errors import InputError

        try:
            cases = plan(configured_subjects(load_settings(self.path))).cases
        except InputError as error:
            raise self.CollectError(str(error)) from error
        for case in cases:
            yield CaseItem.from_parent(self, name=case.id, case=case)


class CaseItem(pytest.Item):
    """One case as a test."""

    def __init__(self, *, case: "Case", **kwargs: Any) -> None:  # noqa: ANN401 - pytest's
        super().__init__(**kwargs)
        self.case = case
        self.add_marker(f"mlffd_{case.check.concern}")
        _name_case(self, case)

    def runtest(self) -> None:
        """Run the case and record its evidence."""
        _run(self, self.case)

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - pytest's
        """A failed check is told in its own words, without a traceback."""
        if isinstance(excinfo.value, CheckFailureError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the case comes from."""
        return self.path, None, self.name


class CheckFailureError(AssertionError):
    """A case did not pass. The message holds the evidence and what it probably means."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test from `mlffd.testing.parametrize_with_checks` tells which case it is."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "mlffd_case" in callspec.params:
        _name_case(item, callspec.params["mlffd_case"])


def _name_case(item: pytest.Item, case: "Case") -> None:
    """Known to the report even if the test ends before it has measured anything.

    The test's own name will not do: pytest escapes what is in it.
    """
    from mlffd.report.session import CASE

    item.user_properties.append((CASE, [case.subject.name, case.check.name]))


@pytest.fixture
def mlffd_gate(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - a function of a case
    """Run a case, record its evidence, and fail the test unless it passes."""

    def gate(case: "Case") -> "Evidence":
        __tracebackhide__ = True
        return _run(request.node, case)

    return gate


def _run(item: pytest.Item, case: "Case") -> "Evidence":
    __tracebackhide__ = True
    from mlffd.report.session import EVIDENCE, NOTE
    from mlffd.report.terminal import describe
    from mlffd.verdicts import Verdict

    evidence = case.run()
    item.user_properties.append((EVIDENCE, evidence.as_dict()))
    if evidence.noteworthy:
        item.user_properties.append((NOTE, describe(evidence)))
    if item.config.getoption("--mlffd-propose"):
        _propose(item, case)
    if evidence.verdict is not Verdict.PASS:
        raise CheckFailureError(f"{describe(evidence)}\n\n{case.check.meaning}")
    return evidence


def _propose(item: pytest.Item, case: "Case") -> None:
    """Hand the controller what the golden would be; without one, `accept` sees it missing."""
    from mlffd.checks.proposing import goldens_of
    from mlffd.errors import InputError
    from mlffd.report.session import PROPOSAL

    for golden in goldens_of(case.subject):
        if golden.check == case.check.name:
            try:
                item.user_properties.append((PROPOSAL, golden.propose().as_dict()))
            except InputError as error:
                item.add_report_section("call", "mlffd", f"nothing proposed: {error}")
