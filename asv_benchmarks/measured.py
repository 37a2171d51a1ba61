"""What asv found out about a commit: counted, and kept in one file for each machine and commit.

asv ends with 0 where all benchmarks were skipped, and with 1 for a dozen reasons. So what it wrote
is read instead: a number was measured, ``NaN`` was skipped or not selected, ``null`` failed.
"""

import json
import math
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from mlffd.files import write_text_atomically

#: asv's names of what a benchmark's row in a file holds first.
_RESULT, _PARAMS = "result", "params"


@dataclass(frozen=True)
class Tally:
    """How many benchmarks ended how; each combination of parameters is one.

    Attributes:
        measured: with a number.
        on_gpu: of those, with ``'cuda'`` among the parameters.
        skipped: or not selected.
        failed: by name.
    """

    measured: int
    on_gpu: int
    skipped: int
    failed: tuple[str, ...]


def tally(document: dict[str, Any]) -> Tally:
    """Count what a file of asv's holds."""
    outcomes = list(_outcomes(document))
    numbers = [name for name, value in outcomes if value is not None and not math.isnan(value)]
    failed = tuple(name for name, value in outcomes if value is None)
    return Tally(
        len(numbers),
        sum("'cuda'" in name for name in numbers),
        len(outcomes) - len(numbers) - len(failed),
        failed,
    )


def _outcomes(document: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    result, params = (document["result_columns"].index(column) for column in (_RESULT, _PARAMS))
    for name, row in document["results"].items():
        combinations = list(product(*row[params]))
        # asv writes one null for a list of nothing else.
        values = row[result] or [None] * len(combinations)
        for combination, value in zip(combinations, values, strict=True):
            yield (f"{name}({', '.join(combination)})" if combination else name), value


def keep(found: Path, results: Path, about: dict[str, Any]) -> Path:
    """Add what was found to what is kept of the commit.

    A benchmark that was measured again replaces what was known of it, others stay. asv names files,
    environments and series after the path of Python: here they are named after its version, so that
    it does not matter where it is installed.

    Args:
        found: asv's file, in the folder of its machine.
        results: the folder that asv's pages are made of.
        about: what else is to be known about the run; asv does not read it.

    Returns:
        The file that it is in.
    """
    document = json.loads(found.read_text(encoding="utf-8"))
    python = ".".join(platform.python_version_tuple()[:2])
    document |= {"env_name": f"py{python}", "python": python, **about}
    document["params"]["python"] = python
    folder = results / found.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{document['commit_hash'][:8]}-{document['env_name']}.json"
    if kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["result_columns"] == document["result_columns"]:
            document["results"] = before["results"] | document["results"]
    for source, target in (
        (found.parent / "machine.json", folder / "machine.json"),
        (found.parents[1] / "benchmarks.json", results / "benchmarks.json"),
    ):
        write_text_atomically(target, source.read_text(encoding="utf-8"))
    write_text_atomically(kept, json.dumps(document) + "\n")
    return kept
