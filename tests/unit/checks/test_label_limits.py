"""What follows from pairs of close structures and from energies: each limit from both sides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from springs import failing, measured

from mlffd.checks.labels import check_energies_plausible, check_labels_consistent
from mlffd.checks.subjects import DatasetSubject
from mlffd.structures.close_pairs import ClosePair
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict

#: 0.251 eV may it be off: a quarter of the bend, and the noise.
PAIR = ClosePair("a", "b", displacement=0.1, stretch=0.0, change=10.0, work=10.0, bend=1.0)


def off(by, name="b", **changes):
    return replace(PAIR, second=name, change=PAIR.work + by, **changes)


def evidence_of(*pairs):
    subject = DatasetSubject(name="data", path=Path("none"))
    subject.close_pairs = list(pairs)
    return check_labels_consistent(subject)


def test_pairs_that_agree_pass():
    evidence = evidence_of(PAIR, PAIR)
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence) == {"worst_pair": 0.0, "overall": 0.0}
    assert {c.name: c.limit for c in evidence.criteria} == {"worst_pair": 1.0, "overall": 0.25}


@pytest.mark.parametrize(("share", "fails"), [(0.99, False), (1.01, True)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, 0.25 * 1.0 + 1e-3),
        ({"bend": 0.0}, 1e-3),
        ({"bend": 0.0, "stretch": 0.1}, 50 * 0.1**3 + 1e-3),
        ({"bend": 2.0, "stretch": 0.2}, 0.25 * 2.0 + 50 * 0.2**3 + 1e-3),
    ],
)
def test_a_pair_may_be_off_by_what_the_rule_can_be(share, fails, sign, changes, allowed):
    """One of two; the change of all is so large that the mean does not care."""
    evidence = evidence_of(
        replace(PAIR, work=100.0, change=100.0), off(sign * share * allowed, **changes)
    )
    assert failing(evidence) == ({"worst_pair"} if fails else set())
    assert measured(evidence)["worst_pair"] == pytest.approx(share)
    assert evidence.details["inconsistent"] == int(fails)
    assert evidence.details["worst"][0]["allowed"] == pytest.approx(allowed)


@pytest.mark.parametrize(("share", "fails"), [(0.99, False), (1.01, True)])
def test_all_pairs_together_may_be_off_by_a_quarter_of_the_change(share, fails):
    """Root mean square: errors of 1 and 7 eV over changes of 20 eV are a quarter."""
    wide = replace(PAIR, work=20.0, bend=1000.0)
    evidence = evidence_of(*(replace(wide, change=20.0 + share * by) for by in (1.0, -7.0)))
    assert measured(evidence)["overall"] == pytest.approx(share * 0.25)
    assert failing(evidence) == ({"overall"} if fails else set())


def test_changes_smaller_than_the_noise_count_as_the_noise():
    quiet = replace(PAIR, work=1e-9, change=2e-4, bend=0.0)
    evidence = evidence_of(quiet, quiet)
    assert measured(evidence)["overall"] == pytest.approx(0.2, rel=1e-4)
    assert evidence.verdict is Verdict.PASS


def test_the_worst_ten_are_told_worst_first():
    pairs = [off(0.01 * i, name=str(i)) for i in range(1, 13)]
    evidence = evidence_of(*pairs)
    found = [pair["second"] for pair in evidence.details["worst"]]
    assert found == [str(i) for i in range(12, 2, -1)]
    assert evidence.details["pairs"] == 12
    assert "worst: a and 12, by 10.1 eV instead of 10 eV" in evidence.message


class Data(list):
    """Structures of hydrogen and oxygen that are no file."""

    elements = (1, 8)


def energies_of(*extra):
    """H counts -10 eV, O -100 eV; so many eV per atom more, structure by structure."""
    generator = np.random.default_rng(1)
    structures = Data()
    for index in range(100):
        numbers = generator.choice([1, 8], size=4)
        energy = float(np.where(numbers == 1, -10.0, -100.0).sum())
        more = extra[index] if index < len(extra) else 0.0
        structures.append(
            Structure(
                numbers, np.zeros((4, 3)), energy=energy + 4 * more, name=f"structure {index}"
            )
        )
    subject = DatasetSubject(name="data", path=Path("none"))
    subject.dataset = structures
    return check_energies_plausible(subject)


def test_sums_of_element_energies_leave_nothing():
    evidence = energies_of()
    assert measured(evidence)["unexplained"] < 1e-9
    assert evidence.details["element_energies"] == pytest.approx({"H": -10.0, "O": -100.0})
    assert evidence.details["implausible"] == 0


@pytest.mark.parametrize(("left", "fails"), [(9.9, False), (10.1, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_energy_may_be_off_by_ten_ev_per_atom(left, fails, sign):
    """What the fit to a hundred takes away is put on top."""
    taken = measured(energies_of(1.0))["unexplained"]
    evidence = energies_of(sign * left / taken)
    assert measured(evidence)["unexplained"] == pytest.approx(left)
    assert failing(evidence) == ({"unexplained"} if fails else set())
    assert evidence.details["implausible"] == int(fails)
    assert evidence.message.endswith("(structure 0)")


def test_the_ten_that_are_furthest_off_are_told():
    evidence = energies_of(*(0.1 * i for i in range(12)))
    found = [one["name"] for one in evidence.details["worst"]]
    assert len(found) == 10
    assert found[0] == "structure 11"


def test_structures_without_an_energy_or_an_atom_are_left_out():
    subject = DatasetSubject(name="data", path=Path("none"))
    whole = [
        Structure(np.array([1, 8]), np.zeros((2, 3)), energy=-110.0, name="a"),
        Structure(np.array([1, 1]), np.zeros((2, 3)), energy=-20.0, name="b"),
    ]
    subject.dataset = Data(
        [
            *whole,
            Structure(np.array([8, 8]), np.zeros((2, 3)), name="bare"),
            Structure(np.array([8, 8]), np.zeros((2, 3)), energy=np.inf, name="infinite"),
            Structure(np.array([], dtype=int), np.zeros((0, 3)), energy=0.0, name="empty"),
        ]
    )
    evidence = check_energies_plausible(subject)
    assert evidence.verdict is Verdict.PASS
    assert evidence.message.startswith("2 energies")
