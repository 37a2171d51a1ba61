"""A pytest session as one report, whichever processes ran its tests.

Registered as a plugin in projects with an ``mlffd.toml``, so it imports nothing heavy at once.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mlffd.config import Settings, load_settings
from mlffd.errors import InputError
from mlffd.files import require_writable

#: Keys of what a test hands over in its `user_properties`, which pytest-xdist sends on.
CASE = "mlffd_case"
EVIDENCE = "mlffd_evidence"
NOTE = "mlffd_note"
PROPOSAL = "mlffd_proposal"


class SessionReport:
    """In the controller: collects what tests measured, and writes it once.

    Args:
        settings: path of the ``mlffd.toml``.
        json: where evidence goes, if anywhere.
        proposals: where proposed goldens go, if anywhere.

    Raises:
        InputError: a destination or, if there is one, the settings cannot be used.
    """

    def __init__(self, settings: Path, *, json: Path | None, proposals: Path | None) -> None:
        self.json, self.proposals = json, proposals
        if json is not None:
            require_writable(json, "--mlffd-json")
        if proposals is not None:
            require_writable(proposals, "--mlffd-propose")
        wanted = json is not None or proposals is not None
        self.settings = load_settings(settings) if wanted else Settings()
        self.evidence: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.proposed: list[dict[str, Any]] = []
        self.cases: dict[str, tuple[str, str]] = {}  # subject and check, by the test's id
        self.failed_without_evidence: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test measured, or note that it failed before it measured anything."""
        handed_over = dict(report.user_properties)
        if isinstance(case := handed_over.get(CASE), list):
            self.cases[report.nodeid] = (case[0], case[1])
        if report.failed and EVIDENCE not in handed_over:
            self.failed_without_evidence.add(report.nodeid)
        if report.when != "call":
            return
        for key, value in report.user_properties:  # several of a test that runs several cases
            if key == EVIDENCE and isinstance(value, dict):
                self.evidence.append(value)
            elif key == NOTE and isinstance(value, str):
                self.notes.append(value)
            elif key == PROPOSAL and isinstance(value, dict):
                self.proposed.append(value)

    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> None:
        """Write what was asked for."""
        if self.json is not None:
            if not self.evidence and exitstatus == pytest.ExitCode.OK:
                # Whoever asks for evidence, CI above all, must not take none for a pass.
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            unfinished = bool(session.shouldstop or session.shouldfail) or exitstatus in (
                pytest.ExitCode.INTERRUPTED,
                pytest.ExitCode.INTERNAL_ERROR,
            )
            self._write_json(self.json, unfinished=unfinished)
        if self.proposals is not None:
            self._write_proposals(self.proposals)

    def _write_json(self, path: Path, *, unfinished: bool) -> None:
        from mlffd.checks.cases import Plan, configured_subjects, plan
        from mlffd.checks.evidence import Evidence
        from mlffd.report.json_report import write_collected
        from mlffd.verdicts import Verdict

        try:
            cases, omissions = plan(configured_subjects(self.settings))
        except InputError:  # told by the collection of the tests; there is no evidence either
            cases, omissions = Plan([], [])
        measured = {(e["subject"], e["check"]) for e in self.evidence}
        missing = [
            key for case in cases if (key := (case.subject.name, case.check.name)) not in measured
        ]
        ended = self._ended_early() | set(missing if unfinished else ())
        # A worker that died leaves no evidence: without this the rest could pass for the whole.
        lost = [
            Evidence(
                Verdict.INVALID,
                "its test ended before anything was measured",
                subject=subject,
                check=check,
            ).as_dict()
            for subject, check in sorted(ended)
        ]
        write_collected(
            [*self.evidence, *lost],
            omissions,
            path,
            not_run=[key for key in missing if key not in ended],
            settings=self.settings.source,
        )

    def _ended_early(self) -> set[tuple[str, str]]:
        """Subject and check of the tests that failed without evidence."""
        return {self.cases[test] for test in self.failed_without_evidence & self.cases.keys()}

    def _write_proposals(self, path: Path) -> None:
        from mlffd.golden.proposals import counters_name, write_proposals

        students = self.settings.students.items()
        subjects = [*students, *self.settings.datasets.items()]
        expected = [name for name, subject in subjects if subject.golden is not None]
        expected += [counters_name(name) for name, s in students if s.counters is not None]
        write_proposals(path, self.proposed, expected=expected)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many cases there were, what is worth knowing, and what was written."""
        if self.evidence:
            from mlffd.report.json_report import worst_of_each

            counts = Counter(item["verdict"] for item in worst_of_each(self.evidence))
            summary = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
            terminalreporter.write_line(f"mlffd: {counts.total()} cases: {summary}")
        elif self.json is not None:
            terminalreporter.write_line("mlffd: no case was measured: the session fails")
        for note in dict.fromkeys(self.notes):
            terminalreporter.write_line(f"mlffd: {note}")
        for path in (self.json, self.proposals):
            if path is not None:
                terminalreporter.write_line(f"mlffd: wrote {path}")
