"""Who is to blame if a commit cannot predict: the head always, the base only if it has it."""

from pathlib import Path

import pytest

from mlffd.performance import accuracies
from mlffd.performance.accuracies import compare_accuracy
from mlffd.performance.revisions import Built
from mlffd.performance.workers import WorkerError
from mlffd.verdicts import Verdict

BASE, HEAD = (Built(name, Path(), None) for name in ("base", "head"))


@pytest.fixture
def fails(monkeypatch):
    """Let one of them fail with an error of some class."""

    def set_up(which, kind):
        def predict_in(student, data, built):
            if built is which:
                raise WorkerError("it cannot", kind)

        monkeypatch.setattr(accuracies, "predict_in", predict_in)
        return lambda: compare_accuracy("tiny", Path("golden.h5"), BASE, HEAD)

    return set_up


@pytest.mark.parametrize(
    ("which", "kind"),
    [
        *((HEAD, kind) for kind in ("Unavailable", "InputError", "RuntimeError", "")),
        *((BASE, kind) for kind in ("RuntimeError", "OutOfMemoryError", "")),
    ],
)
def test_who_fails_is_invalid_and_so_is_a_head_without_the_student(fails, which, kind):
    found = fails(which, kind)()
    assert found.verdict is Verdict.INVALID
    assert found.message == f"the {which.commit} cannot predict: it cannot"


@pytest.mark.parametrize("kind", ["Unavailable", "InputError", "ImportError"])
def test_a_base_without_the_student_is_told_apart(fails, kind):
    with pytest.raises(WorkerError, match="it cannot"):
        fails(BASE, kind)()
