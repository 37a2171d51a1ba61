"""For every check of exports faults that it, and nothing else, must catch.

Another check of exports may then be unable to decide, or have nothing to compare, but it does not
fail.
"""

import json
from pathlib import Path

import pytest
from artifact_planting import Planted, artifact, manifest_of, register
from planting import CHECKPOINT, all_evidence, not_passing

from mlffd.checkpoints import load_checkpoint, save_checkpoint
from mlffd.errors import MissingPackageError
from mlffd.export.deviations import TOLERANCES
from mlffd.export.manifest import Deviation, manifest_path, write_manifest
from mlffd.verdicts import Verdict

LOADS, MATCHES, SHAPES = "artifact_loads", "artifact_matches", "artifact_dynamic_shapes"
FAIL, INVALID, INCONCLUSIVE = Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE


@pytest.fixture(autouse=True)
def _format(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)


@pytest.fixture
def retrained(tmp_path: Path) -> Path:
    """Another student of the same size."""
    student = load_checkpoint(CHECKPOINT)
    student.get_parameter("energy_head.0.weight").mul_(1.001)
    path = tmp_path / "retrained.pt"
    save_checkpoint(path, student, elements=[1, 6, 7, 8], training={})
    return path


def test_a_sound_artifact_passes_every_check(tmp_path: Path) -> None:
    subject = artifact(tmp_path)
    evidence = all_evidence(subject)
    assert set(evidence) == {LOADS, MATCHES, SHAPES}
    assert {e.verdict for e in evidence.values()} == {Verdict.PASS}
    assert {c.name for c in evidence[MATCHES].criteria} == {
        *("energy_per_atom", "forces", "forces_rms", "virial", "repeat", "threads")
    }
    assert not any(e.noteworthy for e in evidence.values())


def test_an_artifact_of_another_student(tmp_path: Path, retrained: Path) -> None:
    found = not_passing(artifact(tmp_path, checkpoint=retrained))
    assert found == {LOADS: FAIL, MATCHES: INVALID, SHAPES: INVALID}


def test_a_checkpoint_that_was_trained_anew(tmp_path: Path, retrained: Path) -> None:
    subject = artifact(tmp_path, reference=retrained)
    evidence = all_evidence(subject)
    assert {n: e.verdict for n, e in evidence.items()} == {
        LOADS: FAIL,
        MATCHES: INVALID,
        SHAPES: INVALID,
    }
    assert "weights: the manifest says sha256:" in evidence[LOADS].message
    assert "see artifact_loads" in evidence[MATCHES].message


def test_a_file_that_was_changed_after_its_export(tmp_path: Path) -> None:
    subject = artifact(tmp_path)
    content = json.loads(subject.path.read_text())
    subject.path.write_text(json.dumps({**content, "fault": "OddAtoms"}))
    assert not_passing(subject) == {LOADS: FAIL, MATCHES: INVALID, SHAPES: INVALID}


def test_a_file_that_its_runtime_does_not_open(tmp_path: Path) -> None:
    subject = artifact(tmp_path, "DoesNotOpen")
    evidence = all_evidence(subject)
    assert evidence[LOADS].verdict is FAIL
    assert "RuntimeError: no kernel for EyeLike(9)" in evidence[LOADS].message
    assert {evidence[MATCHES].verdict, evidence[SHAPES].verdict} == {INVALID}


def test_no_manifest(tmp_path: Path) -> None:
    subject = artifact(tmp_path)
    manifest_path(subject.path).unlink()
    assert not_passing(subject) == {LOADS: FAIL, MATCHES: INVALID, SHAPES: INVALID}


def test_a_manifest_that_claims_another_revision(tmp_path: Path) -> None:
    subject = artifact(tmp_path)
    manifest = manifest_of(subject.path, CHECKPOINT, TOLERANCES["fp32"])
    write_manifest(subject.path, manifest.model_copy(update={"revision": 1}))
    found = all_evidence(subject)
    assert found[LOADS].verdict is FAIL
    assert found[LOADS].message == "revision: the manifest says 1, the checkpoint 2"


def test_a_runtime_on_another_device_than_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = artifact(tmp_path)
    subject.device = "cuda"
    original = Planted.__init__
    monkeypatch.setattr(Planted, "__init__", lambda *a, **_: original(*a))  # falls back
    loads = all_evidence(subject)[LOADS]
    assert (loads.verdict, loads.message) == (FAIL, "runs on cpu, expected cuda")


def test_a_missing_runtime_and_a_missing_checkpoint_are_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = artifact(tmp_path, reference=tmp_path / "gone.pt")
    assert set(not_passing(subject).values()) == {INVALID}

    def missing(*_: object, **__: object) -> None:
        raise MissingPackageError("onnxruntime is not installed")

    subject = artifact(tmp_path)
    monkeypatch.setattr(Planted, "__init__", missing)
    assert not_passing(subject) == {LOADS: INVALID, MATCHES: INVALID, SHAPES: INVALID}


@pytest.mark.parametrize(
    ("fault", "failing"),
    [
        ("MissingReduction", {"energy_per_atom", "forces", "forces_rms", "virial"}),
        ("HalfPrecisionLayer", {"energy_per_atom", "forces", "forces_rms", "virial"}),
        ("ScaledAtom", {"forces", "forces_rms"}),
        ("VirialSign", {"virial"}),
        ("LeakingState", {"energy_per_atom", "repeat", "threads"}),
    ],
)
def test_what_is_wrong_at_every_size(tmp_path: Path, fault: str, failing: set[str]) -> None:
    evidence = all_evidence(artifact(tmp_path, fault))
    matches = evidence.pop(MATCHES)
    assert matches.verdict is FAIL
    assert {c.name for c in matches.failing} == failing
    assert {n: e.verdict for n, e in evidence.items()} == {
        LOADS: Verdict.PASS,
        SHAPES: INCONCLUSIVE,
    }
    assert "as wrong at usual sizes" in evidence[SHAPES].message


@pytest.mark.parametrize(
    ("fault", "failing"),
    [("NanAtZero", {"forces", "forces_rms"}), ("SharedBuffer", {"threads"})],
)
def test_what_is_wrong_at_one_geometry_or_in_two_threads(
    tmp_path: Path, fault: str, failing: set[str]
) -> None:
    evidence = all_evidence(artifact(tmp_path, fault))
    assert {n for n, e in evidence.items() if e.verdict is not Verdict.PASS} == {MATCHES}
    assert evidence[MATCHES].verdict is FAIL
    assert {c.name for c in evidence[MATCHES].failing} == failing


@pytest.mark.parametrize("fault", ["BakedSizes", "BakedOutput", "OddAtoms", "IsolatedAtoms"])
def test_what_is_wrong_at_some_sizes(tmp_path: Path, fault: str) -> None:
    assert not_passing(artifact(tmp_path, fault)) == {SHAPES: FAIL}


def test_batches_that_could_not_be_evaluated_are_told_by_the_check_that_passes(
    tmp_path: Path,
) -> None:
    evidence = all_evidence(artifact(tmp_path, "BakedSizes"))
    assert evidence[MATCHES].noteworthy
    assert "not evaluated, see artifact_dynamic_shapes: one structure" in evidence[MATCHES].message
    assert "RuntimeError: expected 64 atoms, got 22" in evidence[SHAPES].message


def test_a_wide_tolerance_in_the_manifest_excuses_nothing(tmp_path: Path) -> None:
    wide = Deviation(energy_per_atom=1, forces=1, forces_rms=1, virial=1)
    assert not_passing(artifact(tmp_path, "ScaledAtom", tolerance=wide))[MATCHES] is FAIL


def test_a_narrow_tolerance_in_the_manifest_holds(tmp_path: Path) -> None:
    narrow = Deviation(energy_per_atom=1e-9, forces=1e-9, forces_rms=1e-9, virial=1e-9)
    assert not_passing(artifact(tmp_path, tolerance=narrow))[MATCHES] is FAIL


def test_limits_of_the_settings_hold_where_sizes_could_not_be_judged(tmp_path: Path) -> None:
    subject = artifact(tmp_path, "ScaledAtom")
    wide = {"forces": 10.0, "forces_rms": 10.0}
    subject.limits = {SHAPES: wide, MATCHES: wide}
    assert not_passing(subject) == {}
