"""Faults of exports of lower precision: each is caught by the check that is for it, and no other.

What is exported is the shipped student as safetensors: of all formats the quickest to write.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from artifact_planting import manifest_of
from planting import CHECKPOINT, DATASET, all_evidence, not_passing
from torch import Tensor

from mlffd.checkpoints import read_checkpoint, save_checkpoint, save_safetensors
from mlffd.checkpoints import safetensors_writing as writing
from mlffd.checkpoints.rounding import INT8, packed, rounded, unpacked
from mlffd.checks.budget import PrecisionBudget
from mlffd.checks.cases import plan
from mlffd.checks.subjects import ArtifactSubject
from mlffd.export.deviations import TOLERANCES
from mlffd.export.manifest import write_manifest
from mlffd.export.specs import input_specs, output_specs
from mlffd.export_settings import BudgetSettings
from mlffd.verdicts import Verdict

pytest.importorskip("safetensors", reason="safetensors is not installed")

LOADS, MATCHES, SHAPES = "artifact_loads", "artifact_matches", "artifact_dynamic_shapes"
BUDGET = "precision_budget"
LAYER = "interactions.1.update.update_mlp.0.weight"


def artifact(
    folder: Path, precision: str, *, source: Path = CHECKPOINT, dataset: Path | None = DATASET
) -> ArtifactSubject:
    """An export with a manifest that says that it is the shipped student in this precision.

    Args:
        folder: to write to.
        precision: that the manifest states.
        source: of the weights that are in the file; in float32 if they are not the shipped ones.
        dataset: that the budget is measured on.
    """
    path = folder / "student.safetensors"
    save_safetensors(
        path, read_checkpoint(source), precision=precision if source == CHECKPOINT else "fp32"
    )
    student = read_checkpoint(CHECKPOINT).student()
    manifest = manifest_of(path, CHECKPOINT, TOLERANCES[precision]).model_copy(
        update={
            "format": "safetensors",
            "precision": precision,
            "inputs": input_specs(student),
            "outputs": output_specs(student),
        }
    )
    write_manifest(path, manifest)
    budget = PrecisionBudget(BudgetSettings(nve_picoseconds=0.05), dataset)
    return ArtifactSubject("artifact", path, CHECKPOINT, budget=budget)


def with_weights(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Path:
    """A checkpoint of the shipped student with other weights."""
    student = read_checkpoint(CHECKPOINT).student()
    student.load_state_dict(change(student.state_dict()))
    save_checkpoint(folder / "changed.pt", student, elements=[1, 6, 7, 8], training={})
    return folder / "changed.pt"


def test_sound_weights_in_eight_bits_pass_every_check(tmp_path: Path) -> None:
    evidence = all_evidence(artifact(tmp_path, INT8))
    assert set(evidence) == {LOADS, MATCHES, SHAPES, BUDGET}
    assert {e.verdict for e in evidence.values()} == {Verdict.PASS}
    measured = {c.name: c.measured for c in evidence[BUDGET].criteria}
    assert measured.keys() == {"force_rmse_growth", "energy_rmse_growth", "drift", "fluctuation"}
    assert 1e-4 < measured["force_rmse_growth"] < 0.01


def test_a_wrong_scale_of_one_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter too large: nearer to the student than no student at all, and not near enough."""
    layer = read_checkpoint(CHECKPOINT).weights[LAYER]

    def scaled(matrix: Tensor, precision: str) -> tuple[Tensor, Tensor | None]:
        stored, scales = packed(matrix, precision)
        assert scales is not None
        return stored, scales * 1.25 if torch.equal(matrix, layer) else scales

    def as_stored(weights: dict[str, Tensor], precision: str) -> dict[str, Tensor]:
        found = rounded(weights, precision)
        return {**found, LAYER: unpacked(*scaled(weights[LAYER], precision))}

    monkeypatch.setattr(writing, "packed", scaled)
    monkeypatch.setattr(writing, "rounded", as_stored)
    subject = artifact(tmp_path, INT8)
    evidence = all_evidence(subject)
    assert {n: e.verdict for n, e in evidence.items() if e.verdict is not Verdict.PASS} == {
        BUDGET: Verdict.FAIL
    }
    assert "force_rmse_growth" in {c.name for c in evidence[BUDGET].failing}


def test_lossy_weights_that_pretend_to_be_full_precision(tmp_path: Path) -> None:
    source = with_weights(tmp_path, lambda weights: rounded(weights, INT8))
    subject = artifact(tmp_path, "fp32", source=source)
    assert not_passing(subject) == {MATCHES: Verdict.FAIL, SHAPES: Verdict.INCONCLUSIVE}


def test_one_layer_in_half_precision(tmp_path: Path) -> None:
    source = with_weights(tmp_path, lambda w: {**w, LAYER: w[LAYER].half().float()})
    subject = artifact(tmp_path, "fp32", source=source)
    assert not_passing(subject) == {MATCHES: Verdict.FAIL, SHAPES: Verdict.INCONCLUSIVE}


def test_eight_bits_that_pretend_to_be_sixteen(tmp_path: Path) -> None:
    """Inside the budget they are all the same: it is a precision that nobody has chosen."""
    source = with_weights(tmp_path, lambda weights: rounded(weights, INT8))
    evidence = all_evidence(artifact(tmp_path, "fp16", source=source))
    assert evidence[MATCHES].verdict is Verdict.FAIL
    assert evidence[BUDGET].verdict is Verdict.PASS


def test_what_the_budget_does_not_concern_is_said(tmp_path: Path) -> None:
    reasons = {o.check: o.reason for o in plan([artifact(tmp_path, "fp32")]).omissions}
    assert reasons == {BUDGET: "fp32 is no lower precision: artifact_matches judges it"}
    reasons = {
        o.check: o.reason for o in plan([artifact(tmp_path, "fp16", dataset=None)]).omissions
    }
    assert reasons[BUDGET].startswith("no labelled data set: ")


def test_what_cannot_be_measured_is_invalid(tmp_path: Path) -> None:
    subject = artifact(tmp_path, "fp16", dataset=tmp_path / "gone.h5")
    evidence = next(c.run() for c in plan([subject], [BUDGET]).cases)
    assert evidence.verdict is Verdict.INVALID
    assert "gone.h5" in evidence.message
