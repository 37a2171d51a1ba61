"""Runs the gate on a commit against itself, again and again: how often is it not green?

Each run is a whole one, with launches of its own that no other run shares: what `mlffd perf ab`
does of the same five workloads when nothing changed. One line of JSON a run is appended as it ends;
run again, it goes on where it stopped. Several may run at a time, each with an output of its own. A
run takes about a minute:

    cd benchmarks/gate_power
    OMP_NUM_THREADS=1 python nothing_slower.py --runs 50 -o data/unchanged.jsonl
"""

import argparse
import json
import os
import sys
from pathlib import Path

from collect import launches_of
from replay import SETTINGS
from rich.progress import track

from mlffd.environment import now
from mlffd.errors import MlffdError
from mlffd.performance.paired_gate import gate
from mlffd.performance.revisions import build, resolve
from mlffd.performance.taking_turns import Turns


def main() -> None:
    """Make the runs that are missing."""
    parser = argparse.ArgumentParser(description="Runs of the gate in which nothing is slower.")
    parser.add_argument("-o", "--output", required=True, type=Path, help="a file of JSON lines")
    parser.add_argument("--runs", type=int, default=50, help="that the file is to have")
    parser.add_argument("--cache", type=Path, help="where the built commit is kept")
    asked = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1")
    built = build(Path(), resolve(Path(), "HEAD"), asked.cache)
    for run in track(range(len(launches_of(asked.output)), asked.runs), "runs"):
        findings = {f.workload: f.as_dict() for f in gate(Turns(built, built), SETTINGS)}
        record = {"commit": built.commit, "run": run, "date": now(), "load": os.getloadavg()[0]}
        with asked.output.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record | {"findings": findings}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    try:
        main()
    except MlffdError as error:
        sys.exit(f"nothing_slower: error: {error}")
