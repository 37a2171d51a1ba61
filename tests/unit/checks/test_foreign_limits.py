"""What follows from the diagnosis of somebody else's file: each limit from both sides."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from springs import failing, measured

from mlffd.checks.artifacts import (
    check_artifact_dynamic_shapes,
    check_artifact_loads,
    check_artifact_matches,
)
from mlffd.checks.foreign import ForeignSubject
from mlffd.export.foreign_comparison import Errors
from mlffd.verdicts import Verdict

EXACT = Errors(
    structures=3,
    energy=0.0,
    energy_median=0.0,
    energy_per_atom=0.0,
    worst="water",
    forces=0.0,
    skipped=0,
    failed=(),
)


class Baked:
    """An input that takes one size only."""

    baked = (("atoms", 7),)

    def __str__(self):
        return "positions"


@pytest.fixture
def subject_of():
    def make(errors=EXACT, *, loads=True, baked=(), mended=None):
        subject = ForeignSubject("theirs", Path("theirs.onnx"), Path("small.pt"))
        subject.diagnosis = SimpleNamespace(
            loads=loads,
            measured=errors,
            mended=mended,
            signature=SimpleNamespace(baked=baked),
            lossy_sums=(),
            replaced=(),
            loading_lines=lambda: ["it loads"],
            meaning_lines=lambda: ["it means", "something"],
        )
        return subject

    return make


@pytest.mark.parametrize(("loads", "failures"), [(True, 0), (False, 1)])
def test_a_file_that_the_runtime_refuses_is_one_failure(subject_of, loads, failures):
    evidence = check_artifact_loads(subject_of(loads=loads))
    assert measured(evidence) == {"failures": failures}
    assert evidence.criteria[0].limit == 0
    assert evidence.verdict is (Verdict.PASS if loads else Verdict.FAIL)


@pytest.mark.parametrize(("share", "fails"), [(0.99, False), (1.01, True)])
@pytest.mark.parametrize(
    ("key", "limit"), [("energy_per_atom", 1e-5), ("forces", 1e-4)], ids=["energy", "forces"]
)
def test_a_right_export_is_as_close_as_float32(subject_of, share, fails, key, limit):
    evidence = check_artifact_matches(subject_of(replace(EXACT, **{key: share * limit})))
    assert failing(evidence) == ({key} if fails else set())
    assert evidence.message == "it means; something"
    assert evidence.details["measured"]["worst"] == "water"
    assert not evidence.details["mended"]


def test_what_gives_no_forces_is_judged_by_energies(subject_of):
    evidence = check_artifact_matches(subject_of(replace(EXACT, forces=None), mended=EXACT))
    assert set(measured(evidence)) == {"energy_per_atom"}
    assert evidence.details["mended"]["structures"] == 3


@pytest.mark.parametrize("errors", [None, replace(EXACT, structures=0)])
def test_without_a_structure_nothing_was_compared(subject_of, errors):
    evidence = check_artifact_matches(subject_of(errors))
    assert evidence.verdict is Verdict.INVALID
    assert evidence.message == "it means; something"


def test_sizes_that_are_baked_and_structures_that_fail_each_count(subject_of):
    sound = check_artifact_dynamic_shapes(subject_of())
    assert (sound.verdict, sound.message) == (Verdict.PASS, "no input fixes a size")
    assert check_artifact_dynamic_shapes(subject_of(None)).verdict is Verdict.PASS

    baked = check_artifact_dynamic_shapes(subject_of(baked=(Baked(),)))
    assert measured(baked) == {"failures": 1}
    assert baked.verdict is Verdict.FAIL
    assert baked.message == "positions takes 7 atoms only"

    errors = replace(EXACT, failed=("water: no",))
    both = check_artifact_dynamic_shapes(subject_of(errors, baked=(Baked(),)))
    assert measured(both) == {"failures": 2}
    assert both.message == "positions takes 7 atoms only; water: no"
