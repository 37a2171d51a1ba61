"""A run as a JSON file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlffd.checks.cases import Omission
from mlffd.checks.run import Run, report_document, run_environment
from mlffd.files import write_text_atomically
from mlffd.verdicts import WORST_FIRST, Verdict, overall


def write_json(run: Run, path: Path) -> None:
    """Write a run as strict JSON, whole or not at all."""
    write_document(run.as_dict(), path)


def write_collected(
    evidence: Sequence[dict[str, Any]],
    omissions: Sequence[Omission],
    path: Path,
    *,
    not_run: Sequence[tuple[str, str]] = (),
    settings: Path | None = None,
) -> None:
    """Write evidence that was collected from several processes, in the same form.

    Args:
        evidence: as dictionaries; the same case may occur repeatedly.
        omissions: to report beside it.
        path: of the file.
        not_run: subject and check of each case of the settings that was left out. A part of the
            cases does not pass for all of them: at best it is inconclusive.
        settings: the file that the subjects come from.
    """
    cases = worst_of_each(evidence)
    verdicts = [Verdict(item["verdict"]) for item in cases]
    if verdicts and not_run:
        verdicts.append(Verdict.INCONCLUSIVE)
    environment = run_environment(settings=settings)
    document = report_document(overall(verdicts), environment, cases, omissions, not_run)
    write_document(document, path)


def worst_of_each(evidence: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One piece of evidence for each case, in a fixed order: of several tests of it, the worst."""
    best_first = sorted(evidence, key=lambda e: -WORST_FIRST.index(Verdict(e["verdict"])))
    cases = {(e["subject"], e["check"]): e for e in best_first}
    return [cases[key] for key in sorted(cases)]


def write_document(document: dict[str, Any], path: Path) -> None:
    """Write strict JSON, whole or not at all."""
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    write_text_atomically(path, text + "\n")
