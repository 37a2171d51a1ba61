"""The pytest plugin: the same cases as ``mlffd check``, one test each.

Loaded in every test session of an environment that has mlffd, so it imports nothing heavy until
it is asked for something.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mlffd.checks.cases import Case
    from mlffd.checks.evidence import Evidence

_FILE_NAME = "mlffd.toml"
_CONCERNS = ("loading", "golden", "physics", "data")
_EVIDENCE = "mlffd_evidence"
_PROPOSAL = "mlffd_proposal"

#: The check whose test also proposes its subject's golden: it has computed what that needs.
_PROPOSING = ("matches_golden", "dataset_coverage")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, all prefixed: other plugins have theirs."""
    group = parser.getgroup("mlffd", "regression tests of machine-learned force fields")
    group.addoption(
        "--mlffd", action="store_true", help=f"run the checks of the {_FILE_NAME} in the root"
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
    settings = config.rootpath / _FILE_NAME
    if config.getoption("--mlffd"):
        if not settings.is_file():
            raise pytest.UsageError(f"--mlffd: {settings} does not exist")
        # Collected like a test file; workers of pytest-xdist get the list from the controller.
        if not any(Path(a).name == _FILE_NAME for a in config.args):
            config.args.append(str(settings))
    if not settings.is_file() or hasattr(config, "workerinput"):
        return
    _share_cores(config)
    config.pluginmanager.register(_Collector(config), "mlffd-collector")


def _share_cores(config: pytest.Config) -> None:
    """Give each xdist worker its share of the cores before it starts; more only wait on locks."""
    workers = len(config.getoption("tx", None) or ()) or config.getoption("numprocesses", 0) or 0
    if workers:
        share = max(1, (os.cpu_count() or 1) // int(workers))
        os.environ.setdefault("OMP_NUM_THREADS", str(share))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name what is under test."""
    settings = config.rootpath / _FILE_NAME
    if not settings.is_file():
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
    return [f"mlffd: students: {students or 'none'}; data sets: {datasets or 'none'}"]


def _relative(path: Path, config: pytest.Config) -> str:
    return os.path.relpath(path, config.rootpath)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SettingsFile | None":
    """With ``--mlffd``, the settings are a file of tests."""
    if file_path.name == _FILE_NAME and parent.config.getoption("--mlffd"):
        collected: SettingsFile = SettingsFile.from_parent(parent, path=file_path)
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


@pytest.fixture
def mlffd_gate(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - a function of a case
    """Run a case, record its evidence, and fail the test unless it passes."""

    def gate(case: "Case") -> "Evidence":
        __tracebackhide__ = True
        return _run(request.node, case)

    return gate


def _run(item: pytest.Item, case: "Case") -> "Evidence":
    __tracebackhide__ = True
    from mlffd.checks.evidence import Verdict
    from mlffd.report.terminal import describe

    evidence = case.run()
    item.user_properties.append((_EVIDENCE, evidence.as_dict()))
    if item.config.getoption("--mlffd-propose") and case.check.name in _PROPOSING:
        _propose(item, case)
    if evidence.verdict is not Verdict.PASS:
        meaning = case.check.help[case.check.help.index("If this fails") :]
        raise CheckFailureError(f"{describe(evidence)}\n\n{_unindent(meaning)}")
    return evidence


def _unindent(text: str) -> str:
    return " ".join(text.split())


def _propose(item: pytest.Item, case: "Case") -> None:
    """Hand the controller what the golden would be; without one, `accept` sees it missing."""
    from mlffd.checks.proposing import propose
    from mlffd.errors import InputError

    try:
        item.user_properties.append((_PROPOSAL, propose(case.subject).as_dict()))
    except InputError as error:
        item.add_report_section("call", "mlffd", f"nothing proposed: {error}")


class _Collector:
    """In the controller: what the workers measured becomes one report, written once."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.evidence: list[dict[str, Any]] = []
        self.proposals: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for key, value in report.user_properties:
            if key == _EVIDENCE and isinstance(value, dict):
                self.evidence.append(value)
            elif key == _PROPOSAL and isinstance(value, dict):
                self.proposals.append(value)

    def pytest_sessionfinish(self) -> None:
        json_path: Path | None = self.config.getoption("--mlffd-json")
        if json_path is not None:
            self._write_json(json_path)
        proposals_path: Path | None = self.config.getoption("--mlffd-propose")
        if proposals_path is not None:
            self._write_proposals(proposals_path)

    def _write_json(self, path: Path) -> None:
        from mlffd.report.json_report import write_collected

        write_collected(self.evidence, path)

    def _write_proposals(self, path: Path) -> None:
        from mlffd.config import load_settings
        from mlffd.golden.proposals import write_proposals

        settings = load_settings(self.config.rootpath / _FILE_NAME)
        expected = [
            name
            for name, subject in [*settings.students.items(), *settings.datasets.items()]
            if subject.golden is not None
        ]
        write_proposals(path, self.proposals, expected=expected)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401
        if not self.evidence:
            return
        counts: dict[str, int] = {}
        for item in self.evidence:
            counts[item["verdict"]] = counts.get(item["verdict"], 0) + 1
        summary = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
        terminalreporter.write_line(f"mlffd: {len(self.evidence)} cases: {summary}")
