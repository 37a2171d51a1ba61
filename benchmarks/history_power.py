"""How often is the history gate wrong, and how soon does it see a slowdown?

Makes histories of ratios with noise of a known kind, with and without a step, and judges them as
`mlffd perf gate` does. Needs apache-otava, and minutes:

    python benchmarks/history_power.py --trials 400 -o docs/reference/history-power.md

Nothing is timed: the noise is that of ratios to a reference that was measured in the same job.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlffd.environment import command_line, now
from mlffd.files import require_writable, write_text_atomically
from mlffd.performance.change_points import MAX_P_VALUE
from mlffd.performance.history_gate import Standing, judge
from mlffd.performance.history_rules import Rules
from mlffd.performance.ratios import History, Point, Quantity, Series
from mlffd.report.console import output, status
from mlffd.report.json_report import write_document
from mlffd.report.markdown import table

#: Commits of a history, and the number before the one that is slower.
COMMITS, BEFORE, SOON = 60, 25, 15
STEPS = (0.05, 0.10, 0.20)
#: For so many commits something is faster, where that is lost again.
GAINED = 10

Noise = Callable[[np.random.Generator, float], NDArray[np.float64]]


def _normal(generator: np.random.Generator, width: float) -> NDArray[np.float64]:
    return generator.normal(0, width, COMMITS)


def _outliers(generator: np.random.Generator, width: float) -> NDArray[np.float64]:
    """Student's t with three degrees of freedom, of the same standard deviation."""
    return width / math.sqrt(3) * generator.standard_t(3, COMMITS)


def _drifting(generator: np.random.Generator, width: float) -> NDArray[np.float64]:
    """Each half like the one before, of the same standard deviation."""
    values = np.empty(COMMITS)
    last = generator.normal(0, width)
    for index in range(COMMITS):
        last = 0.5 * last + generator.normal(0, width * math.sqrt(0.75))
        values[index] = last
    return values


NOISES: dict[str, Noise] = {
    "normal": _normal,
    "with outliers": _outliers,
    "drifting": _drifting,
}


@dataclass(frozen=True)
class Power:
    """What the gate makes of one kind of noise.

    Attributes:
        noise: its kind.
        per_run: share of the runs over histories without a step that fail, one after each commit.
        ever: share of those histories in which any of their runs fails.
        found: by step, share of the histories in which it is found some commits later, with the
            right commit in the range.
        misplaced: by step, share with a regression at that time, but another range.
        delays: by step, commits after it until it is found: median and 95th percentile; None:
            not within the history.
        lost: by step, as ``found``, of a gain of that size that is lost again ten commits later.
    """

    noise: str
    per_run: float
    ever: float
    found: dict[str, float]
    misplaced: dict[str, float]
    delays: dict[str, tuple[int | None, int | None]]
    lost: dict[str, float]


def ranges(log_ratios: NDArray[np.float64]) -> list[range]:
    """Of each regression that the gate reports: positions of the commits that may have done it."""
    points = tuple(
        Point(str(position), position, "", "", math.exp(value))
        for position, value in enumerate(log_ratios)
    )
    series = Series("simulated", Quantity.TIME, "simulated", "reference", points)
    gate = judge(History(tuple(p.commit for p in points), (series,), 0), Rules())
    return [
        range(step.last_good.position + 1, step.first_bad.position + 1)
        for step in gate.of(Standing.REGRESSION)
    ]


def power(name: str, width: float, trials: int, seed: int = 0) -> Power:
    """Measure the gate on one kind of noise."""
    generator, noise = np.random.default_rng(seed), NOISES[name]
    fewest = Rules().fewest
    alarms = []
    for _ in range(trials):
        values = noise(generator, width)
        alarms.append([bool(ranges(values[:end])) for end in range(fewest, COMMITS + 1)])
    found, misplaced, delays, lost = {}, {}, {}, {}
    for step in STEPS:
        soon, late = [], []
        for _ in range(trials):
            values = noise(generator, width)
            values[BEFORE:] += math.log1p(step)
            seen = ranges(values[: BEFORE + SOON])
            right = any(BEFORE in span for span in seen)
            soon.append((right, bool(seen) and not right))
            late.append(_delay(values))
        key = f"{step:g}"
        found[key], misplaced[key] = (float(share) for share in np.mean(soon, axis=0))
        delays[key] = (_quantile(late, 0.5), _quantile(late, 0.95))
        again = []
        for _ in range(trials):
            values = noise(generator, width)
            values[BEFORE - GAINED : BEFORE] -= math.log1p(step)
            again.append(any(BEFORE in span for span in ranges(values[: BEFORE + SOON])))
        lost[key] = float(np.mean(again))
    runs = np.array(alarms)
    alarm = float(runs.mean()), float(runs.any(axis=1).mean())
    return Power(name, *alarm, found, misplaced, delays, lost)


def _delay(values: NDArray[np.float64]) -> int | None:
    """Commits with the step, its own included, until it is found."""
    ends = range(BEFORE + 1, COMMITS + 1)
    seen = (end for end in ends if any(BEFORE in span for span in ranges(values[:end])))
    return next((end - BEFORE for end in seen), None)


def _quantile(delays: Sequence[int | None], share: float) -> int | None:
    order = sorted(delays, key=lambda delay: math.inf if delay is None else delay)
    return order[int(share * (len(order) - 1))]


def page(results: Sequence[Power], width: float, trials: int, made: str) -> str:
    """The figures as a page."""
    steps = [f"{step:.0%}" for step in STEPS]
    headings = ["noise", "a run", "a history", *steps, *(f"{s}: commits until then" for s in steps)]
    headings += [f"{s} lost again" for s in steps]
    rows = []
    for result in results:
        delays = [
            f"{middle or 'more'} ({most or 'more'})" for middle, most in result.delays.values()
        ]
        found = [f"{share:.1%}" for share in result.found.values()]
        lost = [f"{share:.1%}" for share in result.lost.values()]
        alarms = [f"{result.per_run:.2%}", f"{result.ever:.1%}"]
        rows.append([result.noise, *alarms, *found, *delays, *lost])
    return (
        "# How often the history gate is wrong\n\n"
        f"Simulated: {trials} histories of {COMMITS} commits for each figure, ratios with noise of "
        f"{width:.0%} (standard deviation of their logarithm), largest p {MAX_P_VALUE:g}, smallest "
        f"step {Rules().step:.0%}. False alarms: of a run after each commit, and of any run over a "
        f"history. Found: {SOON} commits after a step at the {BEFORE + 1}th, with that commit in "
        "the range that is reported. Commits until then: median, and 95th percentile in "
        f"brackets. Lost again: found as soon, where a gain of that size is lost {GAINED} commits "
        "later.\n\n"
        f"{table(headings, rows)}\n\n"
        "*With outliers*: Student's t, three degrees of freedom. *Drifting*: each commit's noise "
        "correlates by one half with the one before, as when the machine changes slowly and the "
        "reference does not change with it.\n\n"
        f"Made by `{made}`.\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, and write the page.

    Raises:
        InputError: the page cannot be written.
        MissingPackageError: apache-otava is not installed.
    """
    parser = argparse.ArgumentParser(description="Measures false alarms and detection.")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the page to write")
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--noise", type=float, default=0.03, help="of the logarithm of ratios")
    asked = parser.parse_args(arguments)
    if asked.trials < 1:
        parser.error(f"--trials: {asked.trials}, expected 1 or more")
    require_writable(asked.output, "--output")
    results = []
    for name in NOISES:
        with status(f"simulating {name} noise"):
            results.append(power(name, asked.noise, asked.trials))
    made = f"python benchmarks/{command_line()}"
    figures = asked.output.with_suffix(".json")
    document = {
        "date": now(),
        "command": made,
        "noise": asked.noise,
        "trials": asked.trials,
        "results": [asdict(result) for result in results],
    }
    write_document(document, figures)
    write_text_atomically(asked.output, page(results, asked.noise, asked.trials, made))
    output().print(f"wrote {asked.output} and {figures}")


if __name__ == "__main__":
    main()
