"""A pytest session as one report, whichever processes ran its tests.

Registered as a plugin in projects with an ``mlffd.toml``, so it imports nothing heavy at once.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mlffd.config import Settings, load_settings
from mlffd.errors import InputError
from mlffd.report.destination import require_writable

#: Keys of what a test hands over in its `user_properties`, which pytest-xdist sends on.
EVIDENCE = "mlffd_evidence"
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
        self.proposed: list[dict[str, Any]] = []
        self.failed_without_evidence: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test measured, or note that it failed before it measured anything."""
        handed_over = dict(report.user_properties)
        if report.failed and EVIDENCE not in handed_over:
            self.failed_without_evidence.append(report.nodeid)
        if report.when == "call":
            if isinstance(evidence := handed_over.get(EVIDENCE), dict):
                self.evidence.append(evidence)
            if isinstance(proposal := handed_over.get(PROPOSAL), dict):
                self.proposed.append(proposal)

    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> None:
        """Write what was asked for."""
        if self.json is not None:
            unfinished = bool(session.shouldstop or session.shouldfail) or exitstatus in (
                pytest.ExitCode.INTERRUPTED,
                pytest.ExitCode.INTERNAL_ERROR,
            )
            self._write_json(self.json, unfinished=unfinished)
        if self.proposals is not None:
            self._write_proposals(self.proposals)

    def _write_json(self, path: Path, *, unfinished: bool) -> None:
        from mlffd.checks.cases import Plan, configured_subjects, plan
        from mlffd.checks.evidence import Evidence, Verdict
        from mlffd.report.json_report import write_collected

        try:
            cases, omissions = plan(configured_subjects(self.settings))
        except InputError:  # told by the collection of the tests; there is no evidence either
            cases, omissions = Plan([], [])
        measured = {(e["subject"], e["check"]) for e in self.evidence}
        # A worker that died leaves no evidence: without this the rest could pass for the whole.
        lost = [
            Evidence(
                Verdict.INVALID,
                "its test ended before anything was measured",
                subject=case.subject.name,
                check=case.check.name,
            ).as_dict()
            for case in cases
            if (case.subject.name, case.check.name) not in measured
            and (unfinished or self._failed(case.id))
        ]
        write_collected([*self.evidence, *lost], omissions, path)

    def _failed(self, case_id: str) -> bool:
        """Whether a test of this case failed without evidence."""
        endings = (f"::{case_id}", f"[{case_id}]")
        return any(nodeid.endswith(endings) for nodeid in self.failed_without_evidence)

    def _write_proposals(self, path: Path) -> None:
        from mlffd.golden.proposals import write_proposals

        subjects = [*self.settings.students.items(), *self.settings.datasets.items()]
        expected = [name for name, subject in subjects if subject.golden is not None]
        write_proposals(path, self.proposed, expected=expected)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many cases there were, and what was written."""
        if self.evidence:
            counts = Counter(item["verdict"] for item in self.evidence)
            summary = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
            terminalreporter.write_line(f"mlffd: {len(self.evidence)} cases: {summary}")
        for path in (self.json, self.proposals):
            if path is not None:
                terminalreporter.write_line(f"mlffd: wrote {path}")
