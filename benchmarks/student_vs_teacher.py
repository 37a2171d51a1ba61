"""How much faster than their teacher are students?

Times energies and forces of GFN2-xTB and of students side by side, on one thread, and writes a page
and, beside it, the same as JSON. It takes minutes, and needs mlffd's extra `label`:

    OMP_NUM_THREADS=1 python benchmarks/student_vs_teacher.py golden/checkpoints/original.pt \
        golden/checkpoints/tiny.pt golden/checkpoints/ultra_tiny.pt -o docs/reference/speed.md
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binom

from mlffd.checkpoints import read_checkpoint
from mlffd.distill.conformers import embed
from mlffd.distill.labels import label
from mlffd.distill.molecules import load_molecules
from mlffd.distill.teacher import DEFAULT, describe_teacher, gfn2
from mlffd.environment import command_line, describe_environment, now
from mlffd.errors import InputError
from mlffd.files import require_writable, write_text_atomically
from mlffd.report.console import output, status
from mlffd.report.json_report import write_document
from mlffd.report.markdown import code, plain_text, table
from mlffd.runtimes.loading import load_potential
from mlffd.runtimes.potential import Potential, predict
from mlffd.structures.probes import rattled
from mlffd.structures.structure import Structure

TEACHER = "GFN2-xTB"

#: Of ``molecules.smi``, and how many structures of each are computed in one call. It has no
#: molecule between sucrose, of 45 atoms, and 100.
WORKLOADS = (
    ("acetone", 1),
    ("aspirin", 1),
    ("sucrose", 1),
    ("oligo-sulfonamide-halogenated", 1),
    ("ace-ala17-nme", 1),
    ("aspirin", 32),
)

#: Seconds that one sample takes at least: short calls are repeated.
SAMPLE = 0.05
#: Fewer rounds give no interval: of five, the median lies within all of them in 94% of cases only.
FEWEST_ROUNDS = 6
SEED = 0

Call = Callable[[], object]
Samples = NDArray[np.float64]

PAGE = """\
# Speed

Energies and forces of {teacher} and of the students, side by side. How many times faster a student
is than its teacher, with a 95% interval:

{ratios}

Milliseconds of a call, with quartiles, for orientation: they are those of one machine, and of what
else it did.

{milliseconds}

For ten atoms a student's time is mostly that of calling some hundred operations of PyTorch one by
one, whatever the operations do; structures that are predicted in one call share it.

## How it was measured

On one thread of {processor}, {date}: {versions}.

```bash
{command}
```

The molecules are those of these names in `molecules.smi`, each a conformer of RDKit; structures
that share a call are rattled by 0.05 Å. The teacher is what `mlffd data label` uses: through
tblite, with a fresh calculator for each structure, so that it starts from nothing, as labels do.
Students are in eager PyTorch and float32. Their neighbour lists are part of the time, and so is
taking the result apart into structures.

In each of {rounds} rounds all of them take a turn, every other round in the opposite order: what
else the machine does meets all alike. A turn is at least {sample:g} s of calls, and its time that
of the processor. Figures are medians over rounds; ratios are formed within each round, and their
intervals are those of order statistics, which suppose nothing about how times are distributed.

All figures are in [{json}]({json}).
"""


@dataclass(frozen=True)
class Timing:
    """What one workload took.

    Attributes:
        molecule: its name.
        atoms: of one structure.
        structures: in one call.
        seconds: of one call, a sample for each round ``[rounds]``, by contestant.
    """

    molecule: str
    atoms: int
    structures: int
    seconds: Mapping[str, Samples]

    def ratio(self, name: str) -> tuple[float, float, float]:
        """How many times faster than the teacher: the median, and its 95% interval."""
        return median_interval(self.seconds[TEACHER] / self.seconds[name])

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        students = [name for name in self.seconds if name != TEACHER]
        ratios = {name: self.ratio(name) for name in students}
        return {
            "molecule": self.molecule,
            "atoms": self.atoms,
            "structures": self.structures,
            "times_faster": {
                name: {"median": median, "low": low, "high": high}
                for name, (median, low, high) in ratios.items()
            },
            "milliseconds": {name: (1e3 * s).tolist() for name, s in self.seconds.items()},
        }


def median_interval(samples: Samples) -> tuple[float, float, float]:
    """The median, and two of the samples that the true one lies between in at least 95% of cases.

    How many samples are below the true median is binomial, whatever their distribution (W. J.
    Conover, Practical Nonparametric Statistics, section 3.2).
    """
    outside = int(binom.ppf(0.025, len(samples), 0.5))
    ordered = np.sort(samples)
    return float(np.median(samples)), float(ordered[outside - 1]), float(ordered[-outside])


def in_turns(contestants: Mapping[str, Call], rounds: int) -> dict[str, Samples]:
    """Processor time of one call in seconds, a sample for each contestant and round."""
    calls = {name: _enough(call) for name, call in contestants.items()}
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            samples[name].append(_seconds(contestants[name], calls[name]))
    return {name: np.array(taken) for name, taken in samples.items()}


def _enough(call: Call) -> int:
    """How many calls make a sample, once the first ones have warmed up."""
    _seconds(call, 2)
    return int(np.ceil(SAMPLE / _seconds(call, 1)))


def _seconds(call: Call, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def structures_of(name: str, count: int) -> list[Structure]:
    """A molecule of ``molecules.smi``, or several rattled copies of it.

    Raises:
        InputError: RDKit is missing.
    """
    (molecule,) = (m for m in load_molecules() if m.name == name)
    made = embed(molecule, np.random.default_rng(SEED), most=1)
    structure = Structure(made.numbers, made.minima[0], name=name)
    return [structure] if count == 1 else [rattled(structure, seed) for seed in range(count)]


def race(students: Mapping[str, Potential], name: str, count: int, rounds: int) -> Timing:
    """Time the teacher and all students on one workload."""
    structures = structures_of(name, count)
    contestants: dict[str, Call] = {TEACHER: lambda: [label(s, gfn2) for s in structures]}
    for student, potential in students.items():
        # Bound now: a closure would see the last potential only.
        contestants[student] = lambda potential=potential: predict(potential, structures)  # type: ignore[misc]
    return Timing(name, len(structures[0]), count, in_turns(contestants, rounds))


def page(
    timings: Sequence[Timing], rounds: int, environment: Mapping[str, Any], figures: str
) -> str:
    """The page in Markdown; ``figures`` is the file beside it that has all of them."""
    names = list(timings[0].seconds)
    ratios, milliseconds = [], []
    for timing in timings:
        what = [code(timing.molecule), str(timing.atoms), str(timing.structures)]
        ratios.append([*what, *(_ratio_cell(*timing.ratio(n)) for n in names[1:])])
        milliseconds.append([*what, *(_time_cell(1e3 * timing.seconds[n]) for n in names)])
    heading = ["molecule", "atoms", "structures"]
    return PAGE.format(
        teacher=TEACHER,
        ratios=table([*heading, *names[1:]], ratios),
        milliseconds=table([*heading, *names], milliseconds),
        processor=plain_text(environment["processor"]),
        date=environment["date"],
        versions=", ".join(f"{name} {v}" for name, v in environment["versions"].items()),
        command=environment["command"],
        rounds=rounds,
        sample=SAMPLE,
        json=figures,
    )


def _ratio_cell(median: float, low: float, high: float) -> str:
    return f"{number(median)} [{number(low)}, {number(high)}]"


def _time_cell(milliseconds: Samples) -> str:
    low, median, high = np.percentile(milliseconds, (25, 50, 75))
    return f"{number(median)} [{number(low)}, {number(high)}]"


def number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def describe() -> dict[str, Any]:
    """Where and with what it was measured."""
    environment = describe_environment()
    teacher = describe_teacher(DEFAULT)
    environment["versions"][teacher["program"]] = teacher["version"]
    command = f"OMP_NUM_THREADS=1 python benchmarks/{command_line()}"
    return {**environment, "processor": processor(), "date": now(), "command": command}


def processor() -> str:
    """Its model, where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the page.

    Raises:
        InputError: a checkpoint or the extra `label` is missing, or the page cannot be written.
    """
    parser = argparse.ArgumentParser(description="Times students and their teacher side by side.")
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path, help="the page to write")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args(arguments)
    if os.environ.get("OMP_NUM_THREADS") != "1":  # read when tblite is loaded: too late to set here
        parser.error("set OMP_NUM_THREADS=1: threads would compare processors, not programs")
    if asked.rounds < FEWEST_ROUNDS:
        parser.error(f"--rounds: {asked.rounds}, expected {FEWEST_ROUNDS} or more")
    torch.set_num_threads(1)
    require_writable(asked.output, "--output")
    students = {path.stem: load_potential(path) for path in asked.checkpoints}
    if len(students) < len(asked.checkpoints):
        parser.error("two checkpoints have the same name")
    timings = []
    for name, count in WORKLOADS:
        with status(f"timing {count} x {name}"):
            timings.append(race(students, name, count, asked.rounds))
    environment = describe()
    document = {
        "environment": environment,
        "rounds": asked.rounds,
        "students": {p.stem: read_checkpoint(p).fingerprint for p in asked.checkpoints},
        "timings": [timing.as_dict() for timing in timings],
    }
    figures = asked.output.with_suffix(".json")
    write_document(document, figures)
    write_text_atomically(asked.output, page(timings, asked.rounds, environment, figures.name))
    output().print(f"wrote {asked.output} and {figures}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"student_vs_teacher: error: {error}")
