"""When checks of labels apply, and what they tell; planted faults are in tests/faults."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from mlffd.checks.cases import plan
from mlffd.checks.subjects import DatasetSubject
from mlffd.structures.dataset import write_dataset
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict


def labelled(length: float, name: str) -> Structure:
    """A dimer with energy and forces of Lennard-Jones."""
    atoms = Atoms("N2", positions=[[0, 0, 0], [0, 0, length]])
    atoms.calc = LennardJones(sigma=2.3, epsilon=2.0, rc=9.0)
    atoms.get_forces()
    return Structure.from_atoms(atoms, name=name)


SCAN = [labelled(2.4 + 0.1 * point, f"scan-{point}") for point in range(6)]


@pytest.fixture
def subject_of(tmp_path):
    def make(structures):
        write_dataset(tmp_path / "data.h5", structures, metadata={})
        return DatasetSubject(name="data", path=tmp_path / "data.h5")

    return make


def evidence_of(subject, check):
    (case,) = plan([subject], [check]).cases
    return case.run()


def omission_of(subject, check):
    (omission,) = plan([subject], [check, "dataset_valid"]).omissions
    return omission.reason


def test_the_points_of_a_scan_agree(subject_of):
    evidence = evidence_of(subject_of(SCAN), "labels_consistent")
    assert evidence.verdict is Verdict.PASS
    assert evidence.details["pairs"] == 5


def test_the_worst_pair_is_named_with_what_it_should_be(subject_of):
    wrong = [*SCAN[:3], replace(SCAN[3], energy=SCAN[3].energy + 1.0), *SCAN[4:]]
    evidence = evidence_of(subject_of(wrong), "labels_consistent")
    assert evidence.verdict is Verdict.FAIL
    assert evidence.details["inconsistent"] == 2
    worst = evidence.details["worst"][0]
    assert "scan-3" in (worst["first"], worst["second"])
    assert abs(worst["change"] - worst["work"]) == pytest.approx(1.0, abs=0.05)


def test_one_wrong_pair_among_many_good_ones_fails(subject_of):
    """Their mean hardly notices."""
    many = [
        replace(s, positions=s.positions + 10.0 * copy, name=f"{s.name}-{copy}")
        for copy in range(200)
        for s in SCAN
    ]
    many[0] = replace(many[0], energy=many[0].energy + 0.5)
    evidence = evidence_of(subject_of(many), "labels_consistent")
    assert [c.name for c in evidence.failing] == ["worst_pair"]


def test_without_close_structures_nothing_is_claimed(subject_of):
    reason = omission_of(subject_of(SCAN[::3]), "labels_consistent")
    assert reason == "no two of its structures are the same atoms within 0.15 Å, as in a scan"


@pytest.mark.parametrize("check", ["labels_consistent", "energies_plausible"])
def test_without_labels_nothing_is_claimed(subject_of, check):
    bare = [s.with_positions(s.positions) for s in SCAN]
    assert omission_of(subject_of(bare), check) == "it has no labels"


def test_a_few_structures_can_be_fitted_whatever_their_energies(subject_of):
    reason = omission_of(subject_of(SCAN[:1]), "energies_plausible")
    assert reason == "its elements have energies to fit: 2 structures are the least for that"
    assert not plan([subject_of(SCAN[:2])], ["energies_plausible"]).omissions


def test_the_energies_of_the_elements_are_found_and_the_odd_one_is_named(subject_of):
    rng = np.random.default_rng(0)
    energies = {1: -13.0, 8: -110.0}
    structures = []
    for number in range(20):
        numbers = rng.choice([1, 8], size=5)
        structures.append(
            Structure(
                numbers=numbers,
                positions=3 * rng.normal(size=(5, 3)),
                energy=sum(energies[z] for z in numbers) + rng.normal(),
                forces=np.zeros((5, 3)),
                name=f"s{number}",
            )
        )
    sound = evidence_of(subject_of(structures), "energies_plausible")
    assert sound.verdict is Verdict.PASS
    assert sound.details["element_energies"] == pytest.approx({"H": -13, "O": -110}, abs=1)

    structures[7] = replace(structures[7], energy=structures[7].energy / 27.2)
    found = evidence_of(subject_of(structures), "energies_plausible")
    assert found.verdict is Verdict.FAIL
    assert found.details["worst"][0]["name"] == "s7"


def test_an_energy_that_is_not_finite_is_left_to_another_check(subject_of):
    broken = [*SCAN[:5], replace(SCAN[5], energy=float("nan"))]
    assert evidence_of(subject_of(broken), "energies_plausible").verdict is Verdict.PASS
