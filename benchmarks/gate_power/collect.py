"""Collects what the study of the gate's power rests on: launches with planted slowdowns.

Every launch is as `mlffd perf ab` makes it: new processes of one commit, as base, head and base
again, measured in turns. The head is measured with each planted slowdown in the same round, so
that one launch serves a trial of each; jobs share no launch. Unlike the gate, the base runs right
before each of the others: every slowdown is held against the same neighbour. For the other tools'
rules, each launch begins with samples as those take them: one program after the other.

One line of JSON a launch is appended as it ends; run again, it goes on where it stopped. Several
may run at a time, with different --lane. It takes hours:

    cd benchmarks/gate_power && OMP_NUM_THREADS=1 python collect.py --jobs 20 -o data
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median, stdev
from typing import Any

from replay import SLOWDOWNS, WORKLOADS, is_settled
from rich.progress import track

from mlffd.environment import now
from mlffd.errors import MlffdError
from mlffd.files import write_text_atomically
from mlffd.performance.revisions import build, resolve
from mlffd.performance.taking_turns import BLOCK, Turns, best
from mlffd.performance.workers import Worker, WorkerError

#: As many as the gate may ask for, and those that confirm.
LAUNCHES = 16
#: Of the other tools: asv takes its samples in two processes.
IN_A_ROW = 2
ROUNDS = 40
#: Of the other tools: ten samples of ten milliseconds, one after the other.
SAMPLES, SAMPLE = 10, 0.010
#: To calibrate: small operations in a call, pairs of calls, and what none of them is shorter than.
_MANY, _TRIES, _SHORTEST = 4000, 20, 3e-7


def burdens(worker: Worker, name: str) -> tuple[list[int], float]:
    """How many small operations make each slowdown in this process, and the seconds of a call."""
    plain, more = [], []
    for _ in range(_TRIES):
        without = best(worker.ask("measure", name=name, calls=2))
        loaded = best(worker.ask("measure", name=name, calls=1, burden=_MANY))
        plain.append(without)
        more.append((loaded - without) / _MANY)
    seconds, one = median(plain), median(more)
    if one < _SHORTEST:
        raise WorkerError(f"{name}: {one:.2g} s for a small operation: too restless to calibrate")
    return [round(slowdown * seconds / one) for slowdown in SLOWDOWNS], seconds


def collect_workload(team: Sequence[Worker], name: str, *, in_a_row: bool) -> dict[str, Any]:
    """All that one launch tells about one workload: log ratios to the base, and what they rest on.

    Args:
        team: base, head and base again.
        name: of the workload.
        in_a_row: whether to sample as the other tools do, too.
    """
    base, head, again = team
    for worker in team:
        worker.ask("prepare", name=name)
        worker.ask("measure", name=name, calls=10)
    planted, seconds = burdens(head, name)
    samples: dict[str, list[float]] = {}
    if in_a_row:
        calls = max(round(SAMPLE / seconds), 1)
        samples["base"] = wall(base, name, calls, 0)
        for slowdown, burden in zip(SLOWDOWNS, planted, strict=True):
            samples[str(slowdown)] = wall(head, name, calls, burden)
    calls = max(math.ceil(BLOCK / seconds), 1)
    rounds = []
    for turn in range(ROUNDS):
        # As in the gate, no process runs twice in a row: its data would still be in the cache.
        turns = [(head, (turn + i) % len(planted)) for i in range(len(planted))]
        row = [0.0] * (len(planted) + 1)
        for worker, column in (*turns, (again, len(planted))):
            before = best(base.ask("measure", name=name, calls=calls))
            burden = planted[column] if worker is head else 0
            taken = best(worker.ask("measure", name=name, calls=calls, burden=burden))
            row[column] = math.log(taken / before)
        rounds.append(row)
    *heads, again_ratio = (round(median(column), 5) for column in zip(*rounds, strict=True))
    spread = round(stdev(row[0] for row in rounds), 5)
    return {
        "seconds": float(f"{seconds:.4g}"),
        "burdens": planted,
        "head": heads,
        "again": again_ratio,
        "spread_of_rounds": spread,
        "in_a_row": samples,
    }


def wall(worker: Worker, name: str, calls: int, burden: int) -> list[float]:
    """Samples by the clock on the wall: seconds per call, each a mean over some calls."""
    found = []
    for _ in range(SAMPLES):
        reading = worker.ask("measure", name=name, calls=calls, burden=burden)
        found.append(float(f"{sum(reading['wall']) / calls:.4g}"))
    return found


def main() -> None:
    """Collect what is missing."""
    parser = argparse.ArgumentParser(description="Launches with planted slowdowns, for the study.")
    parser.add_argument("-o", "--output", required=True, type=Path, help="a folder")
    parser.add_argument("--jobs", type=int, default=20, help="each one trial per workload and size")
    parser.add_argument("--lane", type=int, default=0, help="of --lanes")
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="where the built commit is kept")
    asked = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1")
    asked.output.mkdir(parents=True, exist_ok=True)
    built = build(Path(), resolve(Path(), "HEAD"), asked.cache)
    turns = Turns(built, built)
    for job in track(range(asked.lane, asked.jobs, asked.lanes), "jobs"):
        path = asked.output / f"job{job:03}.jsonl"
        for launch in range(len(launches_of(path)), LAUNCHES):
            if is_settled(launches_of(path)):
                break
            with turns.team() as team:
                found = {
                    name: collect_workload(team, name, in_a_row=launch < IN_A_ROW)
                    for name in WORKLOADS
                }
            record = {"commit": built.commit, "job": job, "launch": launch, "date": now()}
            record |= {"load": os.getloadavg()[0], "workloads": found}
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record, separators=(",", ":")) + "\n")


def launches_of(path: Path) -> list[dict[str, Any]]:
    """The launches of a job; a line that an interrupt cut short is taken out of the file."""
    if not path.exists():
        return []
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(True) if line[-1] == "\n"]
    write_text_atomically(path, "".join(whole))
    return [json.loads(line) for line in whole]


if __name__ == "__main__":
    try:
        main()
    except MlffdError as error:
        sys.exit(f"collect: error: {error}")
