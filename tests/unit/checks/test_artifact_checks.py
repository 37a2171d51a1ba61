"""What follows from what was measured of an export: each limit from both sides, each message."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from mlffd.checkpoints import read_checkpoint
from mlffd.checks import artifacts
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.artifacts import (
    check_artifact_dynamic_shapes,
    check_artifact_loads,
    check_artifact_matches,
)
from mlffd.errors import InputError, MissingPackageError
from mlffd.export.deviations import INFINITE, TOLERANCES
from mlffd.export.equivalence import Outcome
from mlffd.export.manifest import Deviation, Manifest, TensorSpec, sha256_of, write_manifest
from mlffd.verdicts import Verdict

LIMITS = TOLERANCES["fp32"]
EXACT = Deviation(energy_per_atom=0, forces=0, forces_rms=0, virial=0)
VIRIAL = TensorSpec(name="virial", dtype="float32", shape=(3, 3), unit="eV", meaning="")
QUANTITIES = ("energy_per_atom", "forces", "forces_rms", "virial")


def off(share, *quantities):
    """An outcome that is so many tolerances off in some quantities."""
    found = {name: share * getattr(LIMITS, name) for name in quantities}
    return Outcome(EXACT.model_copy(update=found))


def raising(message="ValueError: no such size"):
    return Outcome(INFINITE, message)


@pytest.fixture
def manifest(checkpoint, tmp_path):
    """Of a file that is what it says."""
    found = read_checkpoint(checkpoint)
    student = found.student()
    path = tmp_path / "small.onnx"
    path.write_bytes(b"an export")
    return Manifest(
        **dict.fromkeys(("student", "snippet"), "x"),
        **{key: {} for key in ("versions", "created")},
        inputs=(),
        outputs=(VIRIAL,),
        format="onnx",
        precision="fp32",
        architecture=found.architecture,
        revision=found.revision,
        config=found.config,
        weights=found.fingerprint,
        cutoff=student.cutoff,
        max_z=student.max_z,
        elements=None,
        honours_cells=student.honours_cells,
        neighbours="input",
        size=path.stat().st_size,
        sha256=sha256_of(path),
        tolerance=LIMITS,
        measured=EXACT,
    )


@pytest.fixture
def subject(manifest, checkpoint, tmp_path, monkeypatch):
    """An export of which nothing has to be computed: what was measured is put in."""
    path = tmp_path / "small.onnx"
    write_manifest(path, manifest)
    made = ArtifactSubject(name="small", path=path, reference=checkpoint)
    made.potential = SimpleNamespace(device=torch.device("cpu"), honours_cells=True)
    made.cases = tuple(SimpleNamespace(name=name) for name in ("one", "two", "odd"))
    made.usual = {"one": off(0), "two": off(0)}
    made.unusual = {"odd": off(0)}
    made.repeated = off(0)
    made.asked = []

    def concurrent(potential, cases):
        made.asked.append([case.name for case in cases])
        return made.threads

    made.threads = off(0)
    monkeypatch.setattr(artifacts, "concurrent", concurrent)
    return made


def failing(evidence):
    return {criterion.name for criterion in evidence.failing}


def test_an_export_that_is_what_it_says_loads(subject):
    evidence = check_artifact_loads(subject)
    assert evidence.verdict is Verdict.PASS
    assert [(c.measured, c.limit) for c in evidence.criteria] == [(0, 0)]
    assert evidence.details["sha256"] == subject.manifest.sha256


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weights", "sha256:" + "0" * 64),
        ("architecture", "another"),
        ("revision", 1),
        ("config", {}),
        ("cutoff", 4.9),
        ("max_z", 9),
        ("honours_cells", False),
        ("outputs", ()),
    ],
)
def test_each_disagreement_with_the_checkpoint_is_told(subject, key, value):
    subject.manifest = subject.manifest.model_copy(update={key: value})
    evidence = check_artifact_loads(subject)
    assert evidence.verdict is Verdict.FAIL
    assert [(c.measured, c.limit) for c in evidence.criteria] == [(1, 0)]
    told = (
        "has_virial: the manifest says False" if key == "outputs" else f"{key}: the manifest says"
    )
    assert evidence.message.startswith(told)
    with pytest.raises(InputError, match="incomparable: "):
        subject.require_same_student()


def test_a_file_for_molecules_has_neither_cells_nor_virials(subject):
    changes = {"neighbours": "inside", "honours_cells": False, "outputs": ()}
    subject.manifest = subject.manifest.model_copy(update=changes)
    assert check_artifact_loads(subject).verdict is Verdict.PASS
    subject.require_same_student()


def test_a_file_that_was_edited_is_not_opened(subject):
    subject.path.write_bytes(b"a export!")
    evidence = check_artifact_loads(subject)
    assert evidence.verdict is Verdict.FAIL
    assert "sha256" in evidence.message
    del subject.potential  # opening it would raise, and be told besides
    assert [c.measured for c in check_artifact_loads(subject).criteria] == [1]


def test_a_checkpoint_that_cannot_be_read_is_no_fault_of_the_file(subject, tmp_path):
    """Nor is the manifest that cannot be held against it."""
    subject.reference = tmp_path / "gone.pt"
    subject.path.with_name("small.onnx.json").write_text("{}")
    subject.__dict__.pop("manifest", None)
    with pytest.raises(InputError, match=r"gone\.pt"):
        check_artifact_loads(subject)


def test_a_manifest_that_cannot_be_read_is_all_that_is_known(subject):
    (subject.path.parent / "small.onnx.json").write_text("{}")
    subject.__dict__.pop("manifest", None)
    evidence = check_artifact_loads(subject)
    assert evidence.verdict is Verdict.FAIL
    assert [c.measured for c in evidence.criteria] == [1]
    assert "not a manifest" in evidence.message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("it is damaged"), "it is damaged"),
        (ZeroDivisionError("none"), "{path}: its runtime raises ZeroDivisionError: none"),
    ],
)
def test_a_runtime_that_does_not_take_the_file_fails_it(subject, monkeypatch, error, message):
    def refuse(path, *, device):
        raise error

    del subject.potential
    monkeypatch.setattr("mlffd.checks.artifact_subject.open_artifact", refuse)
    evidence = check_artifact_loads(subject)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.message == message.format(path=subject.path)


def test_a_package_that_is_missing_is_no_fault_of_the_file(subject, monkeypatch):
    def refuse(path, *, device):
        raise MissingPackageError("onnxruntime", "export")

    del subject.potential
    monkeypatch.setattr("mlffd.checks.artifact_subject.open_artifact", refuse)
    with pytest.raises(MissingPackageError):
        check_artifact_loads(subject)


def test_a_runtime_that_goes_elsewhere_is_told(subject):
    subject.device = "cuda:1"
    evidence = check_artifact_loads(subject)
    assert evidence.message == "runs on cpu, expected cuda:1"
    subject.potential = SimpleNamespace(device=torch.device("cuda", 0))
    assert check_artifact_loads(subject).verdict is Verdict.PASS


def test_an_exact_export_matches(subject):
    evidence = check_artifact_matches(subject)
    assert evidence.verdict is Verdict.PASS
    assert not evidence.noteworthy
    assert [c.name for c in evidence.criteria] == [*QUANTITIES, "repeat", "threads"]
    assert subject.asked == [["one", "two"]]


@pytest.mark.parametrize(("share", "fails"), [(0.99, False), (1.01, True)])
@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("case", ["one", "two"])
def test_any_usual_case_may_be_a_tolerance_off(subject, share, fails, quantity, case):
    subject.usual[case] = off(share, quantity)
    evidence = check_artifact_matches(subject)
    assert failing(evidence) == ({quantity} if fails else set())
    assert evidence.message.endswith(f"({case})")


@pytest.mark.parametrize(("share", "fails"), [(0.99, False), (1.01, True)])
@pytest.mark.parametrize(("what", "criterion"), [("repeated", "repeat"), ("threads", "threads")])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_repeats_and_threads_may_be_a_tolerance_off(
    subject, share, fails, what, criterion, quantity
):
    setattr(subject, what, off(share, quantity))
    evidence = check_artifact_matches(subject)
    assert failing(evidence) == ({criterion} if fails else set())
    assert {c.limit for c in evidence.criteria if c.name == criterion} == {1.0}


def test_usual_cases_that_raise_are_told_and_count_elsewhere(subject):
    subject.usual = {"one": raising(), "two": off(0.5, "forces")}
    evidence = check_artifact_matches(subject)
    assert evidence.verdict is Verdict.PASS
    assert evidence.noteworthy
    assert evidence.message.endswith("not evaluated, see artifact_dynamic_shapes: one")
    assert subject.asked == [["two"]]
    assert evidence.details["cases"]["one"] == {"error": "ValueError: no such size"}
    assert evidence.details["cases"]["two"]["forces"] == pytest.approx(0.5 * LIMITS.forces)


def test_where_no_usual_case_runs_nothing_was_compared(subject):
    subject.usual = {"one": raising(), "two": raising()}
    evidence = check_artifact_matches(subject)
    assert evidence.verdict is Verdict.INVALID
    assert evidence.message.endswith("one: ValueError: no such size")


@pytest.mark.parametrize(("what", "name"), [("repeated", "repeat"), ("threads", "threads")])
def test_an_error_on_the_second_time_fails_and_is_told(subject, what, name):
    setattr(subject, what, raising("RuntimeError: busy"))
    evidence = check_artifact_matches(subject)
    assert failing(evidence) == {name}
    assert evidence.message.endswith(f"{name}: RuntimeError: busy")


def test_a_quantity_that_was_not_measured_is_no_criterion(subject):
    bare = Outcome(EXACT.model_copy(update={"virial": None}))
    subject.usual = {"one": bare}
    subject.repeated = subject.threads = bare
    names = [c.name for c in check_artifact_matches(subject).criteria]
    assert names == [*QUANTITIES[:3], "repeat", "threads"]


@pytest.mark.parametrize(("share", "fails"), [(0.99, False), (1.01, True)])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_an_unusual_size_may_be_a_tolerance_off(subject, share, fails, quantity):
    subject.unusual["odd"] = off(share, quantity)
    evidence = check_artifact_dynamic_shapes(subject)
    assert failing(evidence) == ({quantity} if fails else set())
    assert evidence.verdict is (Verdict.FAIL if fails else Verdict.PASS)
    assert set(evidence.details["cases"]) == {"odd"}


def test_a_limit_of_the_settings_goes_before_the_tolerance(subject):
    subject.unusual["odd"] = off(3, "forces", "energy_per_atom")
    subject.limits = {"artifact_dynamic_shapes": {"forces": 4 * LIMITS.forces}}
    evidence = check_artifact_dynamic_shapes(subject)
    assert failing(evidence) == {"energy_per_atom"}
    assert {c.name: c.limit for c in evidence.criteria}["forces"] == 4 * LIMITS.forces


def test_every_error_at_any_size_counts_and_the_first_is_told(subject):
    subject.usual["two"] = raising("ValueError: first")
    subject.unusual |= {"large": raising("ValueError: second"), "odd": off(0)}
    evidence = check_artifact_dynamic_shapes(subject)
    assert failing(evidence) == set(QUANTITIES)
    assert evidence.message == "two: ValueError: first; and 1 more batches raise errors"
    assert set(evidence.details["cases"]) == {"two", "large", "odd"}

    del subject.usual["two"]
    alone = check_artifact_dynamic_shapes(subject)
    assert alone.message == "large: ValueError: second"
    assert alone.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("usual", "unusual", "verdict"),
    [
        (1.2, 12.0, Verdict.INCONCLUSIVE),  # ten times as wrong for the same reason
        (1.2, 12.1, Verdict.FAIL),
        (0.9, 1.1, Verdict.FAIL),  # at usual sizes it is right
        (1.0, 1.1, Verdict.FAIL),
        (1.2, 0.9, Verdict.PASS),
    ],
)
def test_what_is_as_wrong_at_usual_sizes_may_have_another_reason(subject, usual, unusual, verdict):
    subject.usual["two"] = off(usual, "forces")
    subject.unusual["odd"] = off(unusual, "forces")
    evidence = check_artifact_dynamic_shapes(subject)
    assert evidence.verdict is verdict
    told = evidence.message.startswith("as wrong at usual sizes, see artifact_matches: ")
    assert told is (verdict is Verdict.INCONCLUSIVE)


def test_one_quantity_that_is_wrong_at_unusual_sizes_only_is_enough(subject):
    subject.usual["two"] = off(1.2, "forces")
    subject.unusual["odd"] = off(1.2, "forces", "energy_per_atom")
    assert check_artifact_dynamic_shapes(subject).verdict is Verdict.FAIL


@pytest.mark.parametrize(("share", "verdict"), [(1.0, Verdict.FAIL), (1.1, Verdict.INCONCLUSIVE)])
def test_what_does_not_repeat_itself_says_nothing_of_sizes(subject, share, verdict):
    subject.repeated = off(share, "energy_per_atom")
    subject.unusual["odd"] = off(1.2, "forces")
    assert check_artifact_dynamic_shapes(subject).verdict is verdict


def test_an_error_at_any_size_is_never_explained_by_usual_ones(subject):
    subject.usual["two"] = off(1.2, *QUANTITIES)
    subject.unusual["odd"] = raising()
    assert check_artifact_dynamic_shapes(subject).verdict is Verdict.FAIL


def test_a_quantity_that_usual_sizes_do_not_have_explains_nothing(subject):
    bare = Outcome(EXACT.model_copy(update={"virial": None}))
    subject.usual = {"one": bare}
    subject.unusual["odd"] = off(1.2, "virial")
    assert check_artifact_dynamic_shapes(subject).verdict is Verdict.FAIL


def test_usual_and_unusual_cases_are_compared_apart(manifest, checkpoint, tmp_path, monkeypatch):
    """And only cases that ran are asked again."""
    path = tmp_path / "small.onnx"
    write_manifest(path, manifest)
    made = ArtifactSubject(name="small", path=path, reference=checkpoint)
    made.potential = SimpleNamespace(honours_cells=False)
    compared, again = [], []

    def compare(potential, reference, cases):
        compared.append({case.usual for case in cases})
        return {case.name: raising() if "water" in case.name else off(0) for case in cases}

    monkeypatch.setattr("mlffd.checks.artifact_subject.compare", compare)
    monkeypatch.setattr(
        "mlffd.checks.artifact_subject.repeated",
        lambda potential, cases: again.extend(case.name for case in cases) or off(0),
    )
    ran = {name for name, outcome in made.usual.items() if outcome.error is None}
    assert made.unusual
    assert compared == [{True}, {False}]
    assert made.repeated == off(0)
    assert set(again) == ran
    assert not any(s.is_periodic for case in made.cases for s in case.structures)
    assert made.tolerance == LIMITS
    assert made.usual is made.usual
    assert made.cases is made.cases

    other = replace(made, path=path)
    other.manifest = manifest.model_copy(update={"max_z": 9})
    other.potential = made.potential
    with pytest.raises(InputError, match="incomparable"):
        _ = other.usual
