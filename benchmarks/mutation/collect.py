"""Runs the unit tests against mutants of what judges students: which do they kill?

A mutant is one small change of one module: a limit doubled, ``<=`` for ``<``, a sign, an error that
is not raised (see `operators.py`). A test that fails kills it; a mutant that no test kills is a bug
that could be there unseen. The working tree is never touched: a mutant lives in a process that was
forked with everything imported but the changed package, and runs nothing but the tests that reach
the changed function, the quickest first.

One line of JSON a mutant is appended to the output as it is decided. Run again, it decides anew
only what can have changed: new mutants, those whose killer was edited, and, if any test was edited,
those that survived. From the root of the project, a quarter of an hour on two cores:

    OMP_NUM_THREADS=1 python benchmarks/mutation/collect.py checks golden --jobs 2 -o mutants.jsonl

Of structures and checkpoints, it takes twice as long again.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mutants import Mutant, mutants_of
from rich.progress import track
from tests_of import SOURCES, Baseline, digest, digest_of, in_a_fork, preload, run_tests

from mlffd.files import write_text_atomically

#: Packages that can be mutated, and the folders of the tests that have to notice. Nearly all tests
#: reach structures and checkpoints; those of other packages need not tell what is wrong there.
TESTED_BY = {
    "checks": ("checks", "golden"),
    "golden": ("checks", "golden"),
    "structures": ("structures",),
    "checkpoints": ("checkpoints",),
}

#: Seconds of the processor that tests may take with a mutant: so many times what they take
#: without it, and so much more.
_SLOWER, _LEAST = 5, 10


@dataclass(frozen=True)
class Job:
    """A mutant with the tests that could kill it.

    Attributes:
        mutant: to plant.
        tests: their node ids, in the order in which they are run.
        seconds: that they take without it.
    """

    mutant: Mutant
    tests: Sequence[str]
    seconds: float


def decide(job: Job) -> dict[str, Any]:
    """Whether a test kills the mutant."""
    mutant = job.mutant
    record = {
        "key": mutant.key,
        "module": mutant.path.relative_to(SOURCES).as_posix(),
        "line": mutant.line,
        "operator": mutant.operator,
        "before": mutant.before,
        "after": mutant.after,
        "source": digest(mutant.source.encode()),
        "tests": len(job.tests),
    }
    if not job.tests:
        return {**record, "outcome": "survived", "killer": None}
    limit = round(_LEAST + _SLOWER * job.seconds)
    found = in_a_fork(lambda: run_tests(job.tests, mutant=mutant), limit)
    if found is None:  # out of time, or crashed
        return {**record, "outcome": "killed", "killer": None, "ended": True}
    return {**record, **found}


def jobs_of(package: str, baseline: Baseline) -> list[Job]:
    """Every mutant of a package, with its tests."""
    jobs = []
    for path in sorted((SOURCES / package).glob("*.py")):
        if path.name != "__init__.py":
            for mutant in mutants_of(path):
                tests = baseline.tests_of(mutant)
                seconds = sum(baseline.seconds[test] for test in tests)
                jobs.append(Job(mutant, tests, seconds))
    return jobs


def still_true(record: dict[str, Any], job: Job, tests: str) -> bool:
    """Whether a mutant would be decided as it was."""
    if record["source"] != digest(job.mutant.source.encode()):
        return False
    if record["outcome"] == "survived":
        return bool(record["all_tests"] == tests and record["tests"] == len(job.tests))
    killer = record["killer"]
    return killer is None or record["killer_file"] == digest(Path(killer["file"]).read_bytes())


def main() -> None:
    """Decide what is not decided yet."""
    parser = argparse.ArgumentParser(description="Mutants, and which of them the tests kill.")
    parser.add_argument("packages", nargs="+", choices=TESTED_BY)
    parser.add_argument("-o", "--output", required=True, type=Path, help="a file of JSON lines")
    parser.add_argument("--only", default="", help="part of the names of modules")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    asked = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1")
    known = records_of(asked.output)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"PYTEST_DEBUG_TEMPROOT": folder, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        for package in asked.packages:
            names = TESTED_BY[package]
            folders = [Path("tests/unit", name) for name in names]
            tests = digest_of(folders)
            # What one run tells serves all packages that the same tests are about.
            kept = asked.output.with_suffix(f".{'-'.join(names)}.json")
            baseline = Baseline.measured(folders, names, kept)
            jobs = [job for job in jobs_of(package, baseline) if asked.only in job.mutant.path.name]
            open_ones = [
                job
                for job in jobs
                if (old := known.get(job.mutant.key)) is None or not still_true(old, job, tests)
            ]
            with ThreadPoolExecutor(asked.jobs) as pool:
                list(
                    pool.map(
                        partial(in_a_fork, limit=None),
                        [
                            partial(decide_all, package, lane, baseline, tests, asked.output)
                            for lane in (open_ones[i :: asked.jobs] for i in range(asked.jobs))
                            if lane
                        ],
                    )
                )


def decide_all(
    package: str, jobs: Sequence[Job], baseline: Baseline, tests: str, output: Path
) -> dict[str, Any]:
    """Decide mutants of one package, in a process that has imported everything else."""
    preload(baseline.modules, without=package)
    for job in track(jobs, package):
        try:
            record = {**decide(job), "all_tests": tests}
        except RuntimeError as error:  # the next run tries it again; analyse.py misses it
            sys.stderr.write(f"not decided: {job.mutant.key}: {error}\n")
            continue
        if (killer := record["killer"]) is not None:
            record["killer_file"] = digest(Path(killer["file"]).read_bytes())
        with output.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    return {}


def records_of(path: Path) -> dict[str, dict[str, Any]]:
    """The latest decision of each mutant; a line that was cut short is taken out of the file."""
    if not path.exists():
        return {}
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(True) if line[-1] == "\n"]
    write_text_atomically(path, "".join(whole))
    return {record["key"]: record for record in map(json.loads, whole)}


if __name__ == "__main__":
    sys.exit(main())
