"""Does molecular dynamics conserve energy?"""

from dataclasses import replace

import numpy as np
from ase import units
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from mlffd.checks.evidence import Criterion, Evidence, Verdict, judge
from mlffd.checks.registry import check
from mlffd.checks.subjects import StudentSubject
from mlffd.runtimes.ase_calculator import Calculator
from mlffd.runtimes.potential import Potential
from mlffd.structures.structure import FloatArray, Structure

_MOLECULES = 3
_TEMPERATURE = 300.0  # K
_TIME_STEP = 0.5  # fs
_SAMPLE_EVERY = 5  # steps
_SEED = 5
_DRIFT_LIMIT = 1.0  # meV/atom/ps
_SWING_LIMIT = 1.0  # meV/atom


def _total_energy_per_atom(
    potential: Potential, structure: Structure, picoseconds: float
) -> tuple[FloatArray, FloatArray]:
    """Times in ps and total energies in meV/atom of a constant-energy run at 300 K."""
    atoms = structure.to_atoms()
    atoms.calc = Calculator(potential)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=100)
    # Maxwell-Boltzmann. Of a relaxed molecule half of the kinetic energy goes into the bonds, so
    # twice the temperature is put in.
    spread = np.sqrt(2 * _TEMPERATURE * units.kB * atoms.get_masses())[:, None]
    atoms.set_momenta(spread * np.random.default_rng(_SEED).normal(size=(len(atoms), 3)))
    Stationary(atoms)
    ZeroRotation(atoms)
    dynamics = VelocityVerlet(atoms, timestep=_TIME_STEP * units.fs)
    energies = []
    steps = round(1e3 * picoseconds / _TIME_STEP)
    for _ in dynamics.irun(steps=steps):
        if dynamics.nsteps % _SAMPLE_EVERY == 0:
            energies.append(1e3 * atoms.get_total_energy() / len(atoms))
    times = 1e-3 * _TIME_STEP * _SAMPLE_EVERY * np.arange(len(energies))
    return times.astype(np.float64), np.array(energies, dtype=np.float64)


def _no_molecule(subject: StudentSubject) -> str | None:
    if not subject.stable_molecules:
        return "no known molecule consists of its elements, and no data set has one"
    return None


@check("nve_conservation", concern="physics", kind=StudentSubject, unless=_no_molecule)
def check_nve_conservation(subject: StudentSubject) -> Evidence:
    """At constant energy (0.5 fs steps, 300 K) the total energy per atom neither drifts nor swings.

    Absolute, in meV per atom and per atom and ps: relative to the total energy, which holds the
    atoms' own thousands of eV, anything looks conserved.

    If this fails, it probably means that forces are not the gradient of the energy, or that the
    energy surface has steps or spikes too narrow for the other checks to meet by chance.
    """
    drifts, doubts, swings = {}, {}, {}
    for structure in subject.stable_molecules[:_MOLECULES]:
        times, energies = _total_energy_per_atom(
            subject.potential, structure, subject.nve_picoseconds
        )
        slope = float(np.polyfit(times, energies, 1)[0]) if np.isfinite(energies).all() else np.nan
        swing = float((energies - slope * times).std())
        drifts[structure.name], swings[structure.name] = abs(slope), swing
        doubts[structure.name] = np.sqrt(12.0) * swing / (times[-1] - times[0])
    drift, swing = float(np.max(list(drifts.values()))), float(np.max(list(swings.values())))
    limit = subject.limits.get("nve_conservation", {}).get("drift", _DRIFT_LIMIT)
    message = (
        f"over {subject.nve_picoseconds:g} ps the energy drifts by at most {drift:.2g} "
        f"meV/atom/ps and fluctuates by {swing:.2g} meV/atom (RMS)"
    )
    evidence = judge(
        [
            Criterion("drift", drift, limit, "meV/atom/ps"),
            Criterion("fluctuation", swing, _SWING_LIMIT, "meV/atom"),
        ],
        message,
        {"drift": drifts, "drift_uncertainty": doubts, "fluctuation": swings},
    )
    # A vibration that the run does not average out has a slope of its own, up to that of a
    # straight line of the same spread.
    surely = max(drifts[name] - doubts[name] for name in drifts)
    if [c.name for c in evidence.failing] == ["drift"] and surely <= limit:
        return replace(
            evidence,
            verdict=Verdict.INCONCLUSIVE,
            message=f"{message}; too short to tell a drift from a vibration (nve_picoseconds)",
        )
    return evidence
