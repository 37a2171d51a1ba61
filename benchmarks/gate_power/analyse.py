"""How often does the gate cry wolf, how often does it sleep? And how often do other tools?

Replays the launches that `collect.py` made: for each job, workload and planted slowdown, a head in
which this one workload is slower and the other four are not, judged by the very procedure of
`mlffd perf ab`. The rules of the other tools are applied to samples that were taken in their way.
Writes a page with a figure:

    cd benchmarks/gate_power && python analyse.py data -o ../../docs/explanation/gate-power.md
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
import numpy as np
from collect import LAUNCHES, launches_of
from matplotlib import pyplot as plt
from replay import SLOWDOWNS, WORKLOADS, Job, findings, is_settled
from scipy.stats import beta

from mlffd.errors import InputError, MlffdError
from mlffd.files import write_atomically, write_text_atomically
from mlffd.optional import import_optional
from mlffd.performance.paired_gate import Finding
from mlffd.report.markdown import table
from mlffd.verdicts import Verdict, overall

GATE = "`mlffd perf ab`"
_BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Rate:
    """How many of how many.

    Attributes:
        failed: trials that the rule failed.
        trials: all of them.
    """

    failed: int
    trials: int

    @property
    def text(self) -> str:
        """Percent, with the 95% interval of Clopper and Pearson, Biometrika 26, 404 (1934)."""
        low = beta.ppf(0.025, self.failed, self.trials - self.failed + 1) if self.failed else 0.0
        rest = self.trials - self.failed
        high = beta.ppf(0.975, self.failed + 1, rest) if rest else 1.0
        return f"{self.share:.0%} [{low:.0%}, {high:.0%}]"

    @property
    def share(self) -> float:
        """Of all trials."""
        return self.failed / self.trials


def rate_of(rule: Callable[[Job, str, int], bool], jobs: Sequence[Job], level: int) -> Rate:
    """How often a rule fails the workload."""
    failed = [rule(job, name, level) for job in jobs for name in WORKLOADS]
    return Rate(sum(failed), len(failed))


def samples(job: Job, name: str, level: int, launches: int) -> tuple[list[float], list[float]]:
    """Of base and head, taken one after the other."""
    base, head = [], []
    for launch in job[:launches]:
        taken = launch["workloads"][name]["in_a_row"]
        base += taken["base"]
        head += taken[str(SLOWDOWNS[level])]
    return base, head


def asv_continuous(job: Job, name: str, level: int) -> bool:
    """The rule of ``asv continuous`` by default: intervals apart, and a ratio above 1.1."""
    statistics = import_optional("asv_runner.statistics", extra="perf")
    compare = import_optional("asv.commands.compare", extra="perf")
    base, head = samples(job, name, level, 2)
    (before, old), (after, new) = (statistics.compute_stats(taken, 1) for taken in (base, head))
    worse: bool = compare._is_result_better(before, after, (old, None), (new, None), 1.1)
    return worse


def pytest_benchmark(statistic: Callable[[Sequence[float]], float]) -> Callable[..., bool]:
    """The rule of pytest-benchmark's ``--benchmark-compare-fail=...:10%``."""

    def rule(job: Job, name: str, level: int) -> bool:
        base, head = samples(job, name, level, 1)
        return statistic(head) > 1.1 * statistic(base)

    return rule


def bootstrap(job: Job, name: str, level: int) -> bool:
    """The gate's limits, once, with a bootstrap of its first four launches."""
    ratios = np.array([launch["workloads"][name]["head"][level] for launch in job[:4]])
    drawn = np.random.default_rng(0).choice(ratios, (_BOOTSTRAPS, len(ratios))).mean(axis=1)
    low = np.quantile(drawn, 0.025)
    return bool(low > math.log1p(0.02) and ratios.mean() > math.log1p(0.04))


RULES: dict[str, Callable[[Job, str, int], bool]] = {
    "first four launches, bootstrap, no second look": bootstrap,
    "`asv continuous`, default": asv_continuous,
    "pytest-benchmark `mean:10%`": pytest_benchmark(fmean),
    "pytest-benchmark `min:10%`": pytest_benchmark(min),
}


def figure(rates: Mapping[str, Sequence[Rate]], path: Path) -> None:
    """Percent of trials that fail, over the planted slowdown."""
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "mlffd"  # the same figure is the same file
    drawing, axes = plt.subplots(figsize=(6.5, 4))
    for name, found in rates.items():
        style = {"linewidth": 2.5} if name == GATE else {"linewidth": 1, "linestyle": "--"}
        percents = [100 * rate.share for rate in found]
        axes.plot([100 * s for s in SLOWDOWNS], percents, marker="o", label=name, **style)  # type: ignore[arg-type]
    axes.set_xlabel("planted slowdown, %")
    axes.set_ylabel("trials that fail, %")
    axes.legend()
    axes.grid(alpha=0.3)
    write_atomically(
        path,
        lambda aside: drawing.savefig(
            aside, format="svg", metadata={"Date": None}, bbox_inches="tight"
        ),
    )


def runs_table(judged: Sequence[Finding], unchanged: Sequence[Mapping[str, Any]]) -> str:
    """What whole runs say in which nothing is slower: the worst of their workloads.

    Args:
        judged: of the jobs at 0%, job by job.
        unchanged: what `nothing_slower.py` wrote.
    """
    size = len(WORKLOADS)
    starts = range(0, len(judged), size)
    replayed = [overall(f.verdict for f in judged[start : start + size]) for start in starts]
    complete = [overall(Verdict(f["verdict"]) for f in r["findings"].values()) for r in unchanged]
    rows = []
    for name, verdicts in (("replayed", replayed), ("complete", complete)):
        counts = [str(verdicts.count(verdict)) for verdict in Verdict]
        rows.append([name, str(len(verdicts)), *counts])
    return table(["runs", "number", *(str(verdict) for verdict in Verdict)], rows)


def page(
    rates: Mapping[str, Sequence[Rate]],
    judged: Sequence[Sequence[Finding]],
    jobs: Sequence[Job],
    unchanged: Sequence[Mapping[str, Any]],
) -> str:
    """The page of the documentation."""
    loads = [launch["load"] for job in jobs for launch in job]
    busy = [run["load"] for run in unchanged]
    later = [finding["verdict"] for run in unchanged for finding in run["findings"].values()]
    headings = ["rule", *(f"{slowdown:.0%}" for slowdown in SLOWDOWNS)]
    rows = [[name, *(rate.text for rate in found)] for name, found in rates.items()]
    kinds = [
        [
            f"{slowdown:.0%}",
            *(str(sum(f.verdict is verdict for f in found)) for verdict in Verdict),
        ]
        for slowdown, found in zip(SLOWDOWNS, judged, strict=True)
    ]
    visible = [f.visible for found in judged[:1] for f in found if f.visible is not None]
    return f"""# How often the gate is wrong

A gate that fails good commits is switched off, one that passes bad ones is worth nothing. So the
error rates of `mlffd perf ab` are measured, on real inference of two shipped students, with
slowdowns that are really computed: small tensor operations before each call, as many as make so
many percent of it in that process.

{len(jobs)} jobs, each of up to {LAUNCHES} launches of {len(WORKLOADS)} workloads, as many as the
gate asks for. A trial is a workload of a job: {len(judged[0])} of each size. No two jobs share a
launch; the {len(WORKLOADS)} workloads of a job are measured by the same processes, one after the
other. In three jobs two collectors ran at once: numbers of launches repeat there, but each line is
one of its own. The machine was busy with other things: its load was {min(loads):.0f} to
{max(loads):.0f}, {np.median(loads):.0f} at the median, on two cores.

Percent of trials that fail, with 95% intervals; what is slower by 0% must not, the others should:

{table(headings, rows)}

![Percent of trials that fail over the planted slowdown](gate-power.svg)

The first row is the whole procedure: new launches where in doubt, Holm's correction over
{len(WORKLOADS)} workloads of which one is slower, and a second look before anything fails. The
others are applied to samples of the same processes: asv's own functions to ten samples of ten
milliseconds in each of two processes, by the clock on the wall, and pytest-benchmark's comparison
to those of the first process. They are their rules, not runs of the tools.

What the gate says, in trials:

{table(["slower by", *(str(verdict) for verdict in Verdict)], kinds)}

Inconclusive and invalid are exit code 3, not green. Of a workload that is not slower, the median
run says that it could have seen a slowdown of {np.median(visible):.0%}.

A pull request sees a run, which is as bad as the worst of its {len(WORKLOADS)} workloads. Runs in
which nothing is slower, those of the jobs, and complete ones that were made for this question only,
under a load of {min(busy):.0f} to {max(busy):.0f}:

{runs_table(judged[0], unchanged)}

In the complete ones, of {len(later)} workloads that no trial above has a part in,
{Rate(later.count("fail"), len(later)).text} failed. They were made just before the gate learned to
launch again what is no slower but too restless to tell by how much: inconclusive ones were given up
after the first four launches. The jobs are replayed by the rules of today.

Counters see all of it: each of these slowdowns adds operators, and `counters` compares their
number exactly, see [checks](../reference/checks.md).

Since these launches, processes that are measured keep the memory that they free: calls with large
molecules, whose times scattered by 10% from process to process, now scatter by 1.5%. The workloads
above are small and gain little. The complete runs were made after that.

Made by:

```
cd benchmarks/gate_power
OMP_NUM_THREADS=1 python collect.py --jobs {len(jobs)} -o data
OMP_NUM_THREADS=1 python nothing_slower.py --runs {len(unchanged)} -o data/unchanged.jsonl
python analyse.py data -o ../../docs/explanation/gate-power.md
```
"""


def main() -> None:
    """Replay, and write the page and its figure."""
    parser = argparse.ArgumentParser(description="Error rates of gates, from collected launches.")
    parser.add_argument("data", type=Path, help="the folder that collect.py wrote")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the page to write")
    asked = parser.parse_args()
    read = [launches_of(path) for path in sorted(asked.data.glob("job*.jsonl"))]
    jobs = [job for job in read if is_settled(job)]
    if not jobs:
        raise InputError(f"{asked.data}: no job with all launches that its verdicts need")
    levels = range(len(SLOWDOWNS))
    judged = [findings(jobs, level) for level in levels]
    rates = {
        GATE: [Rate(sum(f.verdict is Verdict.FAIL for f in found), len(found)) for found in judged]
    }
    rates |= {name: [rate_of(rule, jobs, i) for i in levels] for name, rule in RULES.items()}
    figure(rates, asked.output.with_suffix(".svg"))
    unchanged = launches_of(asked.data / "unchanged.jsonl")
    if not unchanged:
        raise InputError(f"{asked.data}: no unchanged.jsonl, expected what nothing_slower.py wrote")
    write_text_atomically(asked.output, page(rates, judged, jobs, unchanged))
    sys.stdout.write(json.dumps({name: [r.text for r in found] for name, found in rates.items()}))


if __name__ == "__main__":
    try:
        main()
    except MlffdError as error:
        sys.exit(f"analyse: error: {error}")
