"""A run as a JSON file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlffd.checks.cases import Omission
from mlffd.checks.evidence import Verdict
from mlffd.checks.run import EXIT_CODES, Run, overall, run_environment
from mlffd.files import write_text_atomically


def write_json(run: Run, path: Path) -> None:
    """Write a run as strict JSON, whole or not at all."""
    _write(run.as_dict(), path)


def write_collected(
    evidence: Sequence[dict[str, Any]], omissions: Sequence[Omission], path: Path
) -> None:
    """Write evidence that was collected from several processes, in the same form."""
    verdict = overall(Verdict(item["verdict"]) for item in evidence)
    document = {
        "verdict": str(verdict),
        "exit_code": EXIT_CODES[verdict],
        "environment": run_environment(),
        "evidence": sorted(evidence, key=lambda item: (item["subject"], item["check"])),
        "omitted": [o._asdict() for o in omissions],
    }
    _write(document, path)


def _write(document: dict[str, Any], path: Path) -> None:
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    write_text_atomically(path, text + "\n")
