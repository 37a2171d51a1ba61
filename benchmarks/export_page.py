"""The page about exports: what was measured of each, and how it is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from student_vs_teacher import SAMPLE, Samples, number

from mlffd.checks.evidence import Evidence
from mlffd.export.formats import FORMATS
from mlffd.export.manifest import Manifest
from mlffd.report.markdown import code, plain_text, table
from mlffd.runtimes.eager import EagerPotential
from mlffd.verdicts import Verdict

ATOMS = 16
#: Molecules in one call.
COUNTS = (1, 8, 32)

PAGE = """\
# Exports

What each format and precision of a student takes, how fast it is beside the student in eager
PyTorch and float32, and what it costs.

{students}

## How to read this

Sizes are those of the files; of `safetensors` much is provenance, which comes with the weights.
Loading is what opening the file takes in a process that has its runtime loaded. Times are of
energies and forces of {counts} copies of `{molecule}`, of {atoms} atoms, in one call, neighbour
lists given where the format takes them: how many times faster than eager float32, as median and
range over {rounds} rounds. Deviations are the worst of all cases that an export is verified on,
from eager float64. The errors of forces and energies are root mean squares against the labels of
the data set that the settings name; growth is what `precision_budget` makes of them, and so is
whether an export is inside its budget.

Measured on one thread of {processor}, {date}: {versions}.

```bash
{command}
```

In each round all take a turn, every other round in the opposite order; a turn is at least
{sample:g} s of calls, and its time that of the processor. All figures are in [{json}]({json}).
"""

STUDENT = """\
## {name}

Smallest inside the budget: {smallest}; of those that run without mlffd: {runnable}. Fastest inside
the budget: {fastest}.

{table}
{missing}"""


@dataclass(frozen=True)
class Export:
    """What was measured of one artifact.

    Attributes:
        manifest: of the artifact.
        loading: seconds, a sample for each round.
        times_faster: than eager, a sample for each round, by molecules in a call.
        growth: of errors, by quantity; empty where the labelled structures are not for it.
        budget: the evidence; None: it has full precision.
    """

    manifest: Manifest
    loading: Samples
    times_faster: Mapping[int, Samples]
    growth: Mapping[str, float]
    budget: Evidence | None

    @property
    def title(self) -> str:
        """Format and precision."""
        return title(self.manifest.format, self.manifest.precision)

    @property
    def is_inside(self) -> bool:
        """Whether it costs no more than it may."""
        return self.budget is None or self.budget.verdict is Verdict.PASS

    @property
    def is_eager(self) -> bool:
        """Whether it only holds weights, for eager PyTorch."""
        runtime = FORMATS[self.manifest.format].potential
        return isinstance(runtime, type) and issubclass(runtime, EagerPotential)

    def faster(self, count: int) -> float:
        """How many times, the median."""
        return float(np.median(self.times_faster[count]))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": self.manifest.format,
            "precision": self.manifest.precision,
            "size": self.manifest.size,
            "measured": self.manifest.measured.model_dump(),
            "versions": self.manifest.versions,
            "loading_milliseconds": (1e3 * self.loading).tolist(),
            "times_faster": {str(count): s.tolist() for count, s in self.times_faster.items()},
            "growth": dict(self.growth),
            "budget": None if self.budget is None else self.budget.as_dict(),
        }


@dataclass(frozen=True)
class Student:
    """All exports of a student.

    Attributes:
        name: of the student.
        exports: that were measured.
        missing: why others were not, by title.
    """

    name: str
    exports: Sequence[Export]
    missing: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        exports = [found.as_dict() for found in self.exports]
        return {"name": self.name, "exports": exports, "missing": dict(self.missing)}


def title(format_name: str, precision: str) -> str:
    """Of an export, in tables."""
    return f"{format_name} {precision}"


def page(
    students: Sequence[Student],
    molecule: str,
    rounds: int,
    environment: Mapping[str, Any],
    figures: str,
) -> str:
    """The page in Markdown; ``figures`` is the file beside it that has all of them."""
    return PAGE.format(
        students="\n".join(map(section, students)),
        counts=", ".join(map(str, COUNTS)),
        molecule=molecule,
        atoms=ATOMS,
        rounds=rounds,
        processor=plain_text(environment["processor"]),
        date=environment["date"],
        versions=", ".join(f"{name} {v}" for name, v in environment["versions"].items()),
        command=environment["command"],
        sample=SAMPLE,
        json=figures,
    )


def section(student: Student) -> str:
    """The part of the page about a student."""
    inside = [found for found in student.exports if found.is_inside]
    runnable = [found for found in inside if not found.is_eager] or inside
    by_size = [min(group, key=lambda found: found.manifest.size) for group in (inside, runnable)]
    smallest, smallest_runnable = (
        f"{code(found.title)}, {found.manifest.size / 1024:,.0f} KiB" for found in by_size
    )
    missing = "".join(
        f"\n- {code(what)}: {plain_text(reason)}" for what, reason in student.missing.items()
    )
    headings = ["format", "precision", "KiB", "loading, ms", *(f"{n} x {ATOMS}" for n in COUNTS)]
    headings += ["energy, eV/atom", "forces, eV/Å", "forces grow", "energies grow", "budget"]
    return STUDENT.format(
        name=student.name,
        smallest=smallest,
        runnable=smallest_runnable,
        fastest="; ".join(f"{_fastest(runnable, count)} for {count}" for count in COUNTS),
        table=table(headings, map(_row, student.exports), numbers_from=2),
        missing=f"\nNot to be had:\n{missing}\n" if missing else "",
    )


def _fastest(among: Sequence[Export], count: int) -> str:
    """The fastest, and those that were as fast in some round."""
    best = max(among, key=lambda found: found.faster(count))
    others = [
        code(found.title)
        for found in among
        if found is not best and found.times_faster[count].max() >= best.faster(count)
    ]
    ties = f", as fast in some round: {', '.join(others)}" if others else ""
    return f"{code(best.title)} ({number(best.faster(count))} times eager{ties})"


def _row(found: Export) -> list[str]:
    manifest = found.manifest
    growth = (found.growth.get(n) for n in ("force_rmse_growth", "energy_rmse_growth"))
    return [
        manifest.format,
        manifest.precision,
        f"{manifest.size / 1024:,.0f}",
        number(1e3 * float(np.median(found.loading))),
        *(_range(found.times_faster[count]) for count in COUNTS),
        f"{manifest.measured.energy_per_atom:.1e}",
        f"{manifest.measured.forces:.1e}",
        *("" if value is None else f"{value:.2%}" for value in growth),
        "" if found.budget is None else _BUDGET[found.budget.verdict],
    ]


_BUDGET = {
    Verdict.PASS: "inside",
    Verdict.FAIL: "**outside**",
    Verdict.INCONCLUSIVE: "undecided",
    Verdict.INVALID: "not measured",
}


def _range(samples: Samples) -> str:
    median, low, high = float(np.median(samples)), samples.min(), samples.max()
    return f"{number(median)} [{number(low)}, {number(high)}]"
