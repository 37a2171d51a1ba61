"""Data sets that lost known shares of what their golden had: just enough to pass, and too much."""

from dataclasses import replace

import numpy as np
import pytest
from springs import failing, measured

from mlffd.checks.cases import plan
from mlffd.checks.datasets import check_dataset_coverage, check_dataset_valid
from mlffd.checks.subjects import DatasetSubject
from mlffd.golden.coverage import measure_coverage
from mlffd.golden.records import DatasetRecord
from mlffd.structures.dataset import write_dataset
from mlffd.structures.structure import Structure
from mlffd.verdicts import Verdict


def row(numbers, index, *, periodic=False, scale=1.0):
    """Atoms 1.5 Å apart in a row, with labels whose sizes are 10 eV per atom and 1 eV/Å."""
    count = len(numbers)
    turn = np.linalg.qr(np.random.default_rng(index).normal(size=(3, 3)))[0]
    forces = np.zeros((count, 3))
    if count > 1:
        forces[0], forces[1] = 1.0, -1.0
    return Structure(
        np.array(numbers),
        scale * np.outer(1.5 * np.arange(count), turn[0]),
        cell=9.0 * np.eye(3) if periodic else None,
        pbc=np.full(3, periodic),
        energy=-10.0 * count,
        forces=forces,
        name=f"row-{index}",
    )


#: Ten with oxygen, ten without, four of them periodic; the largest has six atoms.
FULL = [
    *(row([1, 8, 1], i) for i in range(9)),
    row([8, 8, 8, 1, 1, 1], 9),
    *(row([1, 6, 1], i, periodic=i > 15) for i in range(10, 20)),
]


@pytest.fixture
def subject_of(tmp_path):
    def make(structures, golden=FULL, **changes):
        path = tmp_path / "data.h5"
        write_dataset(path, structures, metadata={})
        subject = DatasetSubject(name="data", path=path, golden_path=tmp_path / "data.json")
        coverage = measure_coverage(golden)
        record = {
            "subject": "data",
            "fingerprint": subject.dataset.fingerprint,
            "structures": len(golden),
            "provenance": {},
            **vars(coverage),
        }
        subject.golden = DatasetRecord(**(record | changes))
        return subject

    return make


def test_what_has_not_changed_is_covered(subject_of):
    evidence = check_dataset_coverage(subject_of(FULL))
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence) == {
        "lost_elements": 0,
        "thinned_elements": 0,
        "thinned_kinds": 0,
        "typical_size": 1.0,
        "lost_structures": 0,
        "largest_lost": 0,
    }
    assert {c.name: c.limit for c in evidence.criteria} == {
        "lost_elements": 0,
        "thinned_elements": 0,
        "thinned_kinds": 0,
        "typical_size": 1.5,
        "lost_structures": 0,
        "largest_lost": 0,
    }
    assert evidence.details["unchanged"]
    assert evidence.details["structures"] == evidence.details["golden_structures"] == 20
    assert evidence.details["elements"] == {"H": 41, "C": 10, "O": 12}


def test_an_element_that_is_gone_is_named(subject_of):
    found = [row([1, 6, 1], i) if 8 in s.numbers else s for i, s in enumerate(FULL)]
    evidence = check_dataset_coverage(subject_of(found))
    assert "lost_elements" in failing(evidence)
    assert measured(evidence)["lost_elements"] == 1
    assert evidence.details["lost"] == ["O"]
    assert evidence.details["thinned"] == []


@pytest.mark.parametrize(("kept", "found"), [(5, []), (4, ["O"])])
def test_half_of_an_elements_share_of_structures_may_go(subject_of, kept, found):
    """Its share of atoms stays: what is left has more of it."""
    with_oxygen = [row([8, 8, 8], i) for i in range(kept)]
    without = [row([1, 6, 1], i, periodic=i > 15) for i in range(kept, 20)]
    large = [row([6] * 6, 20)]
    evidence = check_dataset_coverage(subject_of([*with_oxygen, *without[:-1], *large]))
    assert evidence.details["thinned"] == found
    assert ("thinned_elements" in failing(evidence)) is bool(found)


@pytest.mark.parametrize(("last", "found"), [([8, 1, 1, 1], []), ([8, 1, 1, 1, 1], ["O"])])
def test_half_of_an_elements_share_of_atoms_may_go(subject_of, last, found):
    """From two of four atoms to one of four, or to a little less; every structure still has it."""
    golden = [row([8, 8, 1, 1], i) for i in range(10)]
    structures = [*(row([8, 1, 1, 1], i) for i in range(9)), row(last, 9)]
    evidence = check_dataset_coverage(subject_of(structures, golden=golden))
    assert evidence.details["thinned"] == found
    assert failing(evidence) == ({"thinned_elements"} if found else set())


@pytest.mark.parametrize(("kept", "found"), [(2, []), (1, ["periodic"])])
def test_half_of_a_kinds_share_may_go(subject_of, kept, found):
    """Four of twenty were periodic."""
    structures = [
        replace(s, cell=None, pbc=np.zeros(3, bool)) if i < 20 - kept else s
        for i, s in enumerate(FULL)
    ]
    evidence = check_dataset_coverage(subject_of(structures))
    assert evidence.details["thinned_kinds"] == found
    assert failing(evidence) == ({"thinned_kinds"} if found else set())


def test_a_kind_that_is_gone_altogether_is_rare(subject_of):
    evidence = check_dataset_coverage(subject_of(FULL, kinds={"periodic": 4, "charged": 1}))
    assert evidence.details["thinned_kinds"] == ["charged"]


@pytest.mark.parametrize(
    ("scale", "fails"), [(1.49, False), (1.51, True), (1 / 1.49, False), (1 / 1.51, True)]
)
@pytest.mark.parametrize("quantity", ["energy", "forces", "positions"])
def test_typical_sizes_may_change_by_half(subject_of, scale, fails, quantity):
    structures = [
        replace(s, **{quantity: scale * getattr(s, quantity)}, cell=None, pbc=np.zeros(3, bool))
        for s in FULL
    ]
    bare = [replace(s, cell=None, pbc=np.zeros(3, bool)) for s in FULL]
    evidence = check_dataset_coverage(subject_of(structures, golden=bare))
    assert failing(evidence) == ({"typical_size"} if fails else set())
    assert measured(evidence)["typical_size"] == pytest.approx(max(scale, 1 / scale))


def test_a_typical_size_that_is_gone_is_no_size_at_all(subject_of):
    evidence = check_dataset_coverage(subject_of(FULL, typical={"unheard_of": 1.0}))
    assert failing(evidence) == {"typical_size"}
    none = check_dataset_coverage(subject_of(FULL, typical={}))
    assert measured(none)["typical_size"] == 1.0


def test_one_structure_less_is_a_loss_and_one_more_is_none(subject_of):
    assert measured(check_dataset_coverage(subject_of(FULL[1:])))["lost_structures"] == 1
    assert failing(check_dataset_coverage(subject_of(FULL[1:]))) == {"lost_structures"}
    more = check_dataset_coverage(subject_of([*FULL, row([1, 8, 1], 30)]))
    assert measured(more)["lost_structures"] == 0
    assert not failing(more)


@pytest.mark.parametrize(("largest", "found"), [(6, set()), (7, {"largest_lost"})])
def test_the_largest_structure_may_become_half_as_large(subject_of, largest, found):
    """Here all have three atoms."""
    evidence = check_dataset_coverage(subject_of(FULL[:9], golden=FULL[:9], largest=largest))
    assert failing(evidence) == found


def test_other_content_is_told(subject_of):
    evidence = check_dataset_coverage(subject_of(FULL, fingerprint="sha256:" + "e" * 64))
    assert not evidence.details["unchanged"]
    assert "20 structures, not the same as in the golden; lost: nothing; much rarer: nothing" in (
        evidence.message
    )


def test_a_golden_that_was_never_accepted_is_missing(subject_of):
    subject = subject_of(FULL)
    subject.golden = None
    assert check_dataset_coverage(subject).verdict is Verdict.INVALID
    subject.golden_path = None
    (omission,) = plan([subject], ["dataset_coverage", "dataset_valid"]).omissions
    assert omission.check == "dataset_coverage"


def test_a_sound_data_set_is_valid(subject_of):
    evidence = check_dataset_valid(subject_of(FULL))
    assert evidence.verdict is Verdict.PASS
    assert measured(evidence) == {"violations": 0}
    assert evidence.message == "0 violations"


def test_every_violation_counts_and_twenty_are_shown(subject_of):
    broken = [replace(row([1, 8, 1], i), energy=float("nan")) for i in range(25)]
    evidence = check_dataset_valid(subject_of(broken))
    assert evidence.verdict is Verdict.FAIL
    assert evidence.criteria[0].limit == 0
    assert measured(evidence)["violations"] >= 25
    assert len(evidence.details["violations"]) == 20
    assert evidence.message.endswith(f"; first: {evidence.details['violations'][0]['message']}")


def test_a_data_set_without_labels_is_not_valid(subject_of):
    bare = [s.with_positions(s.positions) for s in FULL]
    assert check_dataset_valid(subject_of(bare)).verdict is Verdict.FAIL
