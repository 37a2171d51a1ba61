"""What a lower precision may cost: each limit from both sides, and what is measured for it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from judged import labelled_structures, predictions_for
from springs import Changed, PairPotential, failing, measured, soft, spring, subject_of, triangle

from mlffd.checks import precision
from mlffd.checks.artifact_subject import ArtifactSubject
from mlffd.checks.budget import PrecisionBudget
from mlffd.checks.cases import plan
from mlffd.checks.conservation import Trend
from mlffd.checks.precision import Growth, check_precision_budget, drifts, growths
from mlffd.errors import InputError
from mlffd.export_settings import BudgetSettings
from mlffd.golden.predicting import predict_all
from mlffd.verdicts import Verdict

NO_GROWTH = Growth(before=1.0, after=1.0, change=0.0)
STILL = Trend(slope=0.0, swing=0.0, doubt=0.0)


@pytest.fixture
def evidence_of(monkeypatch):
    """Evidence of an export whose costs are given."""

    def make(forces=NO_GROWTH, energies=NO_GROWTH, trends=(STILL,), budget=None):
        monkeypatch.setattr(precision, "growths", lambda *_: (forces, energies))
        by_name = {str(i): trend for i, trend in enumerate(trends)}
        monkeypatch.setattr(precision, "drifts", lambda *_: by_name)
        subject = ArtifactSubject(
            name="small",
            path=Path("small.onnx"),
            reference=Path("small.pt"),
            budget=budget or PrecisionBudget(dataset_path=Path("labels.h5")),
        )
        subject.manifest = SimpleNamespace(precision="fp16", size=7)
        subject.potential = None
        monkeypatch.setattr(ArtifactSubject, "disagreements", [])
        return check_precision_budget(subject)

    return make


def grown(by):
    return Growth(before=1.0, after=1.0 + by, change=0.0)


def test_what_costs_nothing_passes(evidence_of):
    evidence = evidence_of()
    assert evidence.verdict is Verdict.PASS
    assert set(measured(evidence).values()) == {0.0}
    assert evidence.details["dataset"] == "labels.h5"


@pytest.mark.parametrize(("share", "fails"), [(0.99, False), (1.01, True)])
@pytest.mark.parametrize(
    ("criterion", "costs"),
    [
        ("force_rmse_growth", lambda share: {"forces": grown(share * 0.05)}),
        ("energy_rmse_growth", lambda share: {"energies": grown(share * 0.05)}),
        ("drift", lambda share: {"trends": (STILL, Trend(share, 0.0, 0.0))}),
        ("drift", lambda share: {"trends": (STILL, Trend(-share, 0.0, 0.0))}),
        ("fluctuation", lambda share: {"trends": (Trend(0.0, share, 0.0), STILL)}),
    ],
)
def test_each_limit_from_both_sides(evidence_of, share, fails, criterion, costs):
    evidence = evidence_of(**costs(share))
    assert failing(evidence) == ({criterion} if fails else set())
    assert evidence.verdict is (Verdict.FAIL if fails else Verdict.PASS)


def test_settings_may_allow_more_or_less(evidence_of):
    budget = PrecisionBudget(
        allowed=BudgetSettings(force_rmse=0.1, energy_rmse=0.01),
        dataset_path=Path("labels.h5"),
        dynamics={"drift": 3.0, "fluctuation": 0.5},
    )
    costs = {"forces": grown(0.09), "energies": grown(0.02)}
    evidence = evidence_of(trends=(Trend(2.9, 0.6, 0.0),), budget=budget, **costs)
    assert failing(evidence) == {"energy_rmse_growth", "fluctuation"}
    assert [c.limit for c in evidence.criteria] == [0.1, 0.01, 3.0, 0.5]


def test_a_drift_that_may_be_a_vibration_is_inconclusive(evidence_of):
    doubtful = Trend(slope=1.5, swing=0.1, doubt=0.6)
    assert evidence_of(trends=(doubtful,)).verdict is Verdict.INCONCLUSIVE
    assert evidence_of(trends=(replace_trend(doubtful, 0.5),)).verdict is Verdict.INCONCLUSIVE
    assert evidence_of(trends=(replace_trend(doubtful, 0.49),)).verdict is Verdict.FAIL
    assert evidence_of(trends=(doubtful,), forces=grown(0.1)).verdict is Verdict.FAIL


def replace_trend(trend, doubt):
    return trend._replace(doubt=doubt)


def test_nothing_else_than_an_export_of_the_student_is_measured(evidence_of, monkeypatch):
    evidence_of()
    subject = ArtifactSubject(name="s", path=Path("s.onnx"), reference=Path("s.pt"))
    monkeypatch.setattr(ArtifactSubject, "disagreements", ["another student"])
    with pytest.raises(InputError, match="incomparable"):
        check_precision_budget(subject)


def omitted(subject):
    return {o.check: o.reason for o in plan([subject], ["exports"]).omissions}


def test_only_a_lower_precision_has_a_budget_and_only_with_data():
    subject = ArtifactSubject(name="s", path=Path("s.onnx"), reference=Path("s.pt"))
    subject.manifest = SimpleNamespace(precision="fp16")
    assert omitted(subject)["precision_budget"].startswith("no labelled data set")
    subject.budget = PrecisionBudget(dataset_path=Path("labels.h5"))
    assert omitted(subject) == {}
    for full in ("fp32", "fp64"):
        subject.manifest = SimpleNamespace(precision=full)
        assert omitted(subject)["precision_budget"].startswith(f"{full} is no lower precision")


SOUND = PairPotential(soft)


def test_growth_is_that_of_errors_and_of_the_change_itself():
    """Every force component moves by 0.3 eV/Å, every energy by 0.3 eV: 0.1 eV per atom."""
    structures = labelled_structures()
    predictions = predict_all(SOUND, structures)

    def moved(batch, prediction):
        return replace(prediction, energy=prediction.energy + 0.3, forces=prediction.forces + 0.3)

    student = subject_of(SOUND)
    student.dataset = structures
    forces, energies = growths(student, Changed(SOUND, moved))
    errors = predictions.energy / 3 - np.array([s.energy for s in structures]) / 3
    assert energies.before == pytest.approx(np.sqrt((errors**2).mean()))
    assert energies.after == pytest.approx(np.sqrt(((errors + 0.1) ** 2).mean()))
    assert energies.change == pytest.approx(0.1)
    assert forces.change == pytest.approx(0.3)
    components = predictions.forces - np.concatenate([s.forces for s in structures])
    assert forces.before == pytest.approx(np.sqrt((components**2).mean()))
    assert forces.after == pytest.approx(np.sqrt(((components + 0.3) ** 2).mean()))


def test_without_structures_there_is_nothing_to_measure_on():
    student = subject_of(SOUND)
    student.dataset = type("Empty", (list,), {"path": Path("empty.h5")})()
    with pytest.raises(InputError, match=r"empty\.h5: no structures to measure a precision on"):
        growths(student, SOUND)


def test_dynamics_are_those_of_the_export_at_300_k():
    student = subject_of(SOUND)
    student.stable_molecules = [triangle("a"), triangle("b")]
    found = drifts(student, PairPotential(spring(30.0)), 0.05)
    assert set(found) == {"a", "b"}
    assert all(np.isfinite(trend.slope) for trend in found.values())
    student.stable_molecules = []
    with pytest.raises(InputError, match="no known molecule consists of its elements"):
        drifts(student, SOUND, 0.05)


def test_an_error_that_neither_grows_nor_changes_is_free():
    assert predictions_for(labelled_structures(2)).energy.shape == (2,)
    assert Growth(0.5, 0.4, 0.0).relative == 0.0
