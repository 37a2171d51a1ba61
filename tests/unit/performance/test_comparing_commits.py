"""What a comparison says where something cannot be measured: never that all is well."""

from contextlib import contextmanager

import pytest

from mlffd.config import load_settings
from mlffd.errors import NothingMeasuredError
from mlffd.performance import ab
from mlffd.performance.accuracies import AccuracyFinding
from mlffd.performance.paired_gate import Finding
from mlffd.performance.revisions import Built
from mlffd.performance.workers import WorkerError
from mlffd.verdicts import Verdict

SMALL, LARGE, WATCHED = (
    f"tiny/eager/fp32/cpu/{system}" for system in ("batch1", "atoms187", "periodic")
)
SETTINGS = f"""\
[students.tiny]
checkpoint = "tiny.pt"
dataset = "golden"

[datasets.golden]
path = "golden.h5"

[performance.tiers.gate]
workloads = ["{SMALL}", "{LARGE}"]

[performance.tiers.watch]
workloads = ["{LARGE}", "{WATCHED}"]
fails = false
"""


class Worker:
    """Of a revision that cannot prepare some workloads.

    Args:
        errors: by workload.
    """

    def __init__(self, errors):
        self._errors = errors

    def ask(self, command, name=None, **_):  # noqa: ARG002
        if name in self._errors:
            raise self._errors[name]
        return {"processor": "a fast one"}


@pytest.fixture
def compared(tmp_path, monkeypatch):
    """Compare two revisions by their settings and by what their workers and students do."""

    def made(
        *, base=SETTINGS, head=SETTINGS, old=None, new=None, students=lambda *_: None, only=()
    ):
        built = []
        for name, text in (("base", base), ("head", head)):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "mlffd.toml").write_text(text)
            built.append(Built(name, folder, None))

        class Turns:
            def __init__(self, *_, **options):
                pass

            @contextmanager
            def team(self):
                yield Worker(old or {}), Worker(new or {}), None

        def gate(turns, settings):
            return [
                Finding(name, title, tier.fails, Verdict.PASS, "no slowdown that matters")
                for title, tier in settings.tiers.items()
                for name in tier.workloads
            ]

        def accuracy(student, *_):
            students(student)
            return AccuracyFinding(student, Verdict.PASS, "no less accurate")

        monkeypatch.setattr(ab, "Turns", Turns)
        monkeypatch.setattr(ab, "gate", gate)
        monkeypatch.setattr(ab, "compare_accuracy", accuracy)
        settings = load_settings(tmp_path / "head" / "mlffd.toml")
        return ab.compare_commits(*built, settings, only=only)

    return made


def test_two_that_do_the_same_pass(compared):
    found = compared()
    assert (found.verdict, found.omitted) == (Verdict.PASS, {})
    assert [(f.tier, f.workload) for f in found.findings] == [
        *(("gate", SMALL), ("gate", LARGE)),
        *(("watch", LARGE), ("watch", WATCHED)),
    ]


@pytest.mark.parametrize("kind", ["", "OutOfMemoryError", "RuntimeError", "MemoryError"])
def test_a_base_that_fails_is_not_one_that_does_not_have_it(compared, kind):
    """It may be the head that took all memory."""
    found = compared(old={LARGE: WorkerError("ended abruptly, with -9", kind)})
    assert found.verdict is Verdict.INVALID
    invalid = [f for f in found.findings if f.verdict is Verdict.INVALID]
    assert [(f.tier, f.workload) for f in invalid] == [("gate", LARGE), ("watch", LARGE)]
    assert all("the base cannot run it: ended abruptly" in f.message for f in invalid)


@pytest.mark.parametrize("kind", ["Unavailable", "InputError", "ImportError", "AttributeError"])
def test_what_the_base_does_not_have_is_omitted_with_the_reason(compared, kind):
    found = compared(old={LARGE: WorkerError("no such thing", kind)})
    assert found.verdict is Verdict.PASS
    assert found.omitted == {LARGE: "the base does not have it: no such thing"}
    assert LARGE not in {f.workload for f in found.findings}


@pytest.mark.parametrize("kind", ["", "Unavailable", "RuntimeError"])
def test_what_the_head_cannot_run_is_invalid_though_another_tier_only_watches_it(compared, kind):
    found = compared(new={LARGE: WorkerError("broken", kind)})
    assert found.exit_code == 3
    invalid = [f.tier for f in found.findings if f.verdict is Verdict.INVALID]
    assert invalid == ["gate", "watch"]


def test_what_is_only_watched_decides_nothing(compared):
    assert compared(new={WATCHED: WorkerError("broken")}).verdict is Verdict.PASS


def test_nothing_that_could_fail_is_nothing_measured(compared):
    lacking = WorkerError("not there yet", "Unavailable")
    with pytest.raises(NothingMeasuredError, match="not there yet"):
        compared(old={SMALL: lacking, LARGE: lacking})


def test_what_the_head_no_longer_names_is_told(compared):
    head = SETTINGS.replace(f'"{SMALL}", ', "")
    found = compared(head=head)
    assert found.omitted == {SMALL: "the base has it in its tier 'gate', the head in none"}


def test_a_head_that_drops_its_labelled_data_does_not_pass(compared):
    found = compared(head=SETTINGS.replace('dataset = "golden"', ""))
    assert found.verdict is Verdict.INVALID
    (accuracy,) = found.accuracy
    assert "the base names a data set for it" in accuracy.message


def test_a_new_student_is_not_compared_and_does_not_stop_the_others(compared):
    new = SMALL.replace("tiny", "newcomer")
    head = SETTINGS.replace(f'["{SMALL}"', f'["{new}", "{SMALL}"')
    head += '[students.newcomer]\ncheckpoint = "n.pt"\ndataset = "golden"\n'
    lacking = WorkerError("names no checkpoint of it", "Unavailable")

    def known(student):
        if student == "newcomer":
            raise lacking

    found = compared(head=head, old={new: lacking}, students=known)
    assert found.verdict is Verdict.PASS
    assert set(found.omitted) == {new, "newcomer: accuracy"}
    assert [finding.student for finding in found.accuracy] == ["tiny"]


@pytest.mark.parametrize("base", ["", "no TOML at all", "[students]\n"])
def test_a_base_without_such_settings_names_nothing_that_was_dropped(compared, base):
    assert compared(base=base).verdict is Verdict.PASS
