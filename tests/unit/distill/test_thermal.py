"""Dynamics: as hot as asked, all different, and only of whole molecules."""

from dataclasses import replace

import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import CalculationFailed, Calculator
from molecule_samples import Chain, chain

from mlffd.distill.conformers import Conformers
from mlffd.distill.thermal import rattled, thermal

#: eV/Å², and Å between atoms that do not meet.
STIFFNESS = 10.0
SPACING = 5.0
ATOMS = 40


class Lattice(Calculator):
    """Every atom is on a spring of its own: 3 N vibrations of half k T each."""

    implemented_properties = ("energy", "forces")

    def calculate(self, *arguments):
        super().calculate(*arguments)
        moved = self.atoms.positions - SITES
        self.results = {
            "energy": STIFFNESS / 2 * float((moved**2).sum()),
            "forces": -STIFFNESS * moved,
        }


SITES = SPACING * np.arange(ATOMS)[:, None] * np.array([1.0, 0.0, 0.0])
CRYSTAL = Conformers(
    numbers=np.full(ATOMS, 6),
    bonds=np.zeros((0, 2), dtype=np.int64),
    is_bridge=np.zeros(0, dtype=bool),
    minima=[SITES],
    surface=Lattice,
    is_teachers=False,
)


@pytest.mark.parametrize("temperature", [300.0, 1000.0])
def test_the_potential_energy_is_that_of_equipartition(temperature):
    found = thermal(CRYSTAL, SITES, temperature, 8, np.random.default_rng(0))
    # Structures are about their own centre.
    moved = [x - SITES - (x - SITES).mean(axis=0) for x in found]
    energy = STIFFNESS / 2 * float(np.mean([(x**2).sum() for x in moved]))
    assert energy == pytest.approx(3 * (ATOMS - 1) / 2 * units.kB * temperature, rel=0.15)


def test_structures_are_all_different_and_the_same_for_the_same_seed():
    molecule = chain(4)
    twice = [
        thermal(molecule, molecule.minima[0], 300.0, 3, np.random.default_rng(0)) for _ in range(2)
    ]
    np.testing.assert_array_equal(*twice)
    assert len({positions.tobytes() for positions in twice[0]}) == 3


def test_a_molecule_that_falls_apart_is_not_kept():
    class Repelling(Chain):
        def calculate(self, *arguments):
            super().calculate(*arguments)
            self.results["forces"] = -self.results["forces"] + 5 * self.atoms.positions

    explosive = replace(chain(4), surface=Repelling)
    assert thermal(explosive, explosive.minima[0], 300.0, 3, np.random.default_rng(0)) == []


def test_what_the_surface_cannot_compute_is_not_kept():
    class Failing(Chain):
        calls = 0

        def calculate(self, *arguments):
            super().calculate(*arguments)
            Failing.calls += 1
            if Failing.calls > 220:  # one structure is found before
                raise CalculationFailed("no convergence")

    failing = replace(chain(4), surface=Failing)
    found = thermal(failing, failing.minima[0], 300.0, 3, np.random.default_rng(0))
    assert len(found) == 2


def test_noise_is_of_the_size_that_is_asked_for():
    molecule = chain(40)
    (minimum,) = molecule.minima
    noise = rattled(molecule, minimum, 0.05, np.random.default_rng(0)) - minimum
    assert noise.std() == pytest.approx(0.05, rel=0.2)


def test_noise_does_not_tear_a_molecule():
    molecule = chain(20)
    (minimum,) = molecule.minima
    assert molecule.is_whole(rattled(molecule, minimum, 3.0, np.random.default_rng(0)), minimum)
