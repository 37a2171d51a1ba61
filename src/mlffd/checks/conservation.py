"""Does molecular dynamics conserve energy, and molecules?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
from ase import units
from ase.data import covalent_radii
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from mlffd.checks.dynamics import State, relaxed, thermal_velocities, velocity_verlet
from mlffd.checks.evidence import Criterion, Evidence, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.potential import Potential
from mlffd.structures.structure import FloatArray, Structure
from mlffd.verdicts import Verdict

_MOLECULES = 3
USUAL = 300.0  # K
_HOT = 500.0  # K
_TIME_STEP = 0.5  # fs
_SAMPLE_EVERY = 5  # steps
_SEED = 5
DRIFT_LIMIT = 1.0  # meV/atom/ps
SWING_LIMIT = 1.0  # meV/atom

#: Atoms are bonded that are closer than this, in sums of their covalent radii.
_BONDED = 1.3
#: Of a bond's length. At 500 K bonds vibrate by a tenth of it; at half again they are broken.
_STRETCH_LIMIT = 0.5
#: Of a bond's length, or of the sum of covalent radii.
_OVERLAP_LIMIT = 0.4
#: k T in meV/atom: a run whose energy has changed by that much is at another temperature.
_CHANGE_LIMIT = 1e3 * units.kB * _HOT


@dataclass
class Run:
    """What is kept of the dynamics of one molecule.

    Attributes:
        molecule: where its bonds are as they should be: not relaxed, lest a student that pulls it
            apart at once has nothing left to break.
        temperature: K.
        energies: total energies, meV/atom, one a sample.
        stretch: by which part of its length in the molecule a bond was ever longer.
        overlap: by which part of their distance in the molecule, or of the sum of their covalent
            radii if that is less, two atoms were ever closer.
    """

    molecule: Structure
    temperature: float
    energies: list[float] = field(default_factory=list)
    stretch: float = 0.0
    overlap: float = 0.0

    def __post_init__(self) -> None:
        radii = covalent_radii[self.molecule.numbers]
        first, second = np.triu_indices(len(radii), k=1)
        sums = radii[first] + radii[second]
        self._lengths: FloatArray = pdist(self.molecule.positions)
        self._bonded: NDArray[np.bool_] = self._lengths < _BONDED * sums
        self._touching: FloatArray = np.minimum(self._lengths, sums)

    def add(self, state: State) -> None:
        """Take a sample; NaN stays NaN."""
        self.energies.append(1e3 * state.total_energy / len(state.structure))
        distances = pdist(state.structure.positions)
        longer = (distances / self._lengths - 1)[self._bonded]
        closer = 1 - distances / self._touching
        self.stretch = float(longer.max(initial=self.stretch))
        self.overlap = float(closer.max(initial=self.overlap))

    @property
    def change(self) -> float:
        """How far the energy ever was from what it was at the start, meV/atom."""
        return float(np.abs(np.subtract(self.energies, self.energies[0])).max())


def simulate(
    potential: Potential,
    molecules: Sequence[Structure],
    temperatures: Sequence[float],
    picoseconds: float,
) -> list[Run]:
    """Runs of the first few molecules at each temperature, all at once.

    Args:
        potential: whose forces act.
        molecules: that should survive; each is relaxed first.
        temperatures: K.
        picoseconds: length of each run.
    """
    chosen = molecules[:_MOLECULES]
    minima = [relaxed(potential, molecule) for molecule in chosen]
    runs, starts, velocities = [], [], []
    for molecule, minimum in zip(chosen, minima, strict=True):
        for temperature in temperatures:
            runs.append(Run(molecule, temperature))
            starts.append(minimum)
            velocities.append(thermal_velocities(minimum, temperature, _SEED))
    dynamics = velocity_verlet(potential, starts, velocities, _TIME_STEP * units.fs)
    steps = round(1e3 * picoseconds / _TIME_STEP)
    for states in islice(dynamics, 0, steps + 1, _SAMPLE_EVERY):
        for run, state in zip(runs, states, strict=True):
            run.add(state)
    return runs


def _no_molecule(subject: StudentSubject) -> str | None:
    if not subject.stable_molecules:
        return "no known molecule consists of its elements, and no data set has one"
    return None


@check("nve_conservation", concern="physics", kind=StudentSubject, unless=_no_molecule)
def check_nve_conservation(subject: StudentSubject) -> Evidence:
    """At constant energy, molecules keep their energy at 300 K, and stay whole at 500 K, too.

    In steps of 0.5 fs. At 300 K the total energy per atom neither drifts nor swings. Absolute, in
    meV per atom and per atom and ps: relative to the total energy, which holds the atoms' own
    thousands of eV, anything looks conserved. At both temperatures no bond becomes longer by half
    (`stretch`), and no two atoms come closer by 40% than a bond of theirs is long, or the sum of
    their covalent radii (`overlap`); at 500 K the energy stays within k T per atom of where it
    started (`energy_change`).

    If this fails, it probably means that forces are not the gradient of the energy, or that the
    energy surface has steps or spikes too narrow for the other checks to meet by chance; if it is
    stretch or overlap that fails, that the surface has holes where there were no training data,
    which energy and forces agree about.
    """
    runs = simulate(
        subject.potential, subject.stable_molecules, (USUAL, _HOT), subject.nve_picoseconds
    )
    usual = [run for run in runs if run.temperature == USUAL]
    hot = [run for run in runs if run.temperature == _HOT]
    trends = [trend_of(run) for run in usual]
    drift = largest(abs(trend.slope) for trend in trends)
    swing = largest(trend.swing for trend in trends)
    stretch, overlap = largest(r.stretch for r in runs), largest(r.overlap for r in runs)
    change = largest(run.change for run in hot)
    limit = subject.limits.get("nve_conservation", {}).get("drift", DRIFT_LIMIT)
    message = (
        f"over {subject.nve_picoseconds:g} ps at {USUAL:g} K the energy drifts by at most "
        f"{drift:.2g} meV/atom/ps and fluctuates by {swing:.2g} meV/atom (RMS); up to {_HOT:g} K "
        f"bonds become longer by {stretch:.0%}, and atoms closer by {overlap:.0%}"
    )
    evidence = judge(
        [
            Criterion("drift", drift, limit, "meV/atom/ps"),
            Criterion("fluctuation", swing, SWING_LIMIT, "meV/atom"),
            Criterion("stretch", stretch, _STRETCH_LIMIT, "of a bond"),
            Criterion("overlap", overlap, _OVERLAP_LIMIT, "of a bond"),
            Criterion("energy_change", change, _CHANGE_LIMIT, "meV/atom"),
        ],
        message,
        {
            "drift": {r.molecule.name: abs(t.slope) for r, t in zip(usual, trends, strict=True)},
            "drift_uncertainty": {
                r.molecule.name: t.doubt for r, t in zip(usual, trends, strict=True)
            },
            "fluctuation": {r.molecule.name: t.swing for r, t in zip(usual, trends, strict=True)},
            "stretch": {run.molecule.name: run.stretch for run in hot},
            "overlap": {run.molecule.name: run.overlap for run in hot},
            "energy_change": {run.molecule.name: run.change for run in hot},
        },
    )
    surely = largest(trend.surely for trend in trends)
    if [c.name for c in evidence.failing] == ["drift"] and surely <= limit:
        return replace(
            evidence,
            verdict=Verdict.INCONCLUSIVE,
            message=f"{message}; too short to tell a drift from a vibration (nve_picoseconds)",
        )
    return evidence


class Trend(NamedTuple):
    """A straight line through total energies; NaN if not all of them are finite.

    Attributes:
        slope: meV/atom/ps.
        swing: RMS distance from the line, meV/atom.
        doubt: of the slope, meV/atom/ps. A vibration that the run does not average out has a slope
            of its own, up to that of a straight line of the same spread.
    """

    slope: float
    swing: float
    doubt: float

    @property
    def surely(self) -> float:
        """What of the drift is no vibration, meV/atom/ps."""
        return abs(self.slope) - self.doubt


def trend_of(run: Run) -> Trend:
    """The line through the energies of a run."""
    energies = np.array(run.energies)
    if not np.isfinite(energies).all():
        return Trend(np.nan, np.nan, np.nan)
    times = 1e-3 * _TIME_STEP * _SAMPLE_EVERY * np.arange(len(energies))
    slope = float(np.polyfit(times, energies, 1)[0])
    swing = float((energies - slope * times).std())
    return Trend(slope, swing, float(np.sqrt(12.0)) * swing / float(times[-1]))


def largest(values: Iterable[float]) -> float:
    """NumPy's maximum keeps NaN, Python's may lose it."""
    return float(np.max(list(values)))
