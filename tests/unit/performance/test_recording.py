"""What the history keeps of a commit: measured, described, or left out with a reason."""

import math
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from history_samples import make_history

from mlffd.config import Settings
from mlffd.errors import InputError, NothingMeasuredError
from mlffd.golden.records import Predictions
from mlffd.golden.residuals import residuals
from mlffd.performance import recording
from mlffd.performance.paired import Round
from mlffd.performance.revisions import Built
from mlffd.performance.workers import WorkerError
from mlffd.structures.structure import Structure

FAST, LARGE = "small/eager/fp32/cpu/batch1", "small/eager/fp32/cpu/atoms187"
SETTINGS = Settings.model_validate(
    {"performance": {"launches": 3, "tiers": {"gate": {"workloads": [FAST, LARGE]}}}}
)
STATE = {"processor": "a fast one", "threads": "1", "mlffd": "/somewhere/mlffd/__init__.py"}


def off_by(energy: float, force: float):
    """Errors of one structure of two atoms, in eV per atom and in eV/Å."""
    structure = Structure(
        numbers=np.array([1, 1]),
        positions=np.array([[0.0, 0, 0], [0, 0, 0.8]]),
        energy=0.0,
        forces=np.zeros((2, 3)),
        name="hydrogen",
    )
    forces = np.full((2, 3), force)
    return residuals(
        [structure], Predictions(("hydrogen",), np.array([2 * energy]), forces, np.array([0, 2]))
    )


class Worker:
    """Of a commit without counters for the large system."""

    def ask(self, command, name):
        if command == "count" and name == LARGE:
            raise WorkerError("it does not count")
        return {"operators": 12} if command == "count" else None


@contextmanager
def one_worker(*wanted):
    yield [Worker()]


@pytest.fixture
def revisions(tmp_path, monkeypatch):
    """Reference and commit, and stand-ins for all that would start a process."""

    def launch(names, count):
        found = {name: [] for name in names}
        for name in names:
            found[name] += [[Round(1.0, 1.1, 1.0)] * 5] * count
        return found

    monkeypatch.setattr(recording, "Turns", lambda base, head, on_launch: launch)
    monkeypatch.setattr(recording, "probe", lambda turns, wanted: ({}, {}, STATE))
    monkeypatch.setattr(recording, "workers", one_worker)
    monkeypatch.setattr(recording, "labelled_students", lambda *_: {"small": Path("data.h5")})
    monkeypatch.setattr(recording, "predict_in", lambda *_: off_by(energy=0.01, force=0.3))
    old, new = make_history(tmp_path / "repository", 2)
    return Built(old, tmp_path, None), Built(new, tmp_path, None)


def record(tmp_path, revisions, **options):
    return recording.record(tmp_path / "repository", *revisions, SETTINGS, **options)


def test_ratios_counters_accuracy_and_the_commit_are_kept(tmp_path, revisions):
    found = record(tmp_path, revisions)
    ratios = found.ratios
    assert (ratios.commit, ratios.reference) == (revisions[1].commit, revisions[0].commit)
    assert ratios.subject == "change 1"
    assert ratios.date.tzinfo is not None
    assert set(ratios.benchmarks) == {FAST, LARGE}
    assert ratios.benchmarks[FAST].ratio == pytest.approx(1.1)
    assert ratios.benchmarks[FAST].launches == 3
    assert ratios.accuracy["small"].force_rmse == pytest.approx(0.3)
    assert ratios.accuracy["small"].energy_rmse == pytest.approx(0.01)
    assert ratios.machine["processor"] == "a fast one"
    assert "/somewhere" not in str(ratios.machine)


def test_what_two_tiers_name_is_measured_once(tmp_path, revisions, monkeypatch):
    tiers = {"gate": {"workloads": [FAST, LARGE]}, "watch": {"workloads": [LARGE]}}
    settings = Settings.model_validate({"performance": {"launches": 3, "tiers": tiers}})
    monkeypatch.setattr(sys.modules[__name__], "SETTINGS", settings)
    assert record(tmp_path, revisions).ratios.benchmarks[LARGE].launches == 3


def test_counters_that_a_commit_cannot_give_are_left_out_with_the_reason(tmp_path, revisions):
    found = record(tmp_path, revisions)
    assert found.ratios.counters == {FAST: {"operators": 12}}
    assert found.omitted == {f"{LARGE}: counters": "it does not count"}


def test_only_what_is_asked_for_is_measured(tmp_path, revisions):
    assert set(record(tmp_path, revisions, only=[FAST]).ratios.benchmarks) == {FAST}
    with pytest.raises(InputError, match="'fast' is no tier or workload"):
        record(tmp_path, revisions, only=["fast"])


def test_what_either_commit_cannot_run_is_left_out_with_the_reason(
    tmp_path, revisions, monkeypatch
):
    monkeypatch.setattr(
        recording, "probe", lambda turns, wanted: ({LARGE: "not there yet"}, {}, STATE)
    )
    found = record(tmp_path, revisions)
    assert set(found.ratios.benchmarks) == {FAST}
    assert found.omitted == {LARGE: "not there yet"}


def test_nothing_that_runs_is_an_error_of_its_own(tmp_path, revisions, monkeypatch):
    missing, broken = {LARGE: "not there yet"}, {FAST: "it crashed"}
    monkeypatch.setattr(recording, "probe", lambda turns, wanted: (missing, broken, STATE))
    with pytest.raises(NothingMeasuredError, match="not there yet; it crashed"):
        record(tmp_path, revisions)


def test_errors_that_are_no_numbers_are_left_out_with_the_reason(tmp_path, revisions, monkeypatch):
    monkeypatch.setattr(recording, "predict_in", lambda *_: off_by(energy=0.0, force=math.inf))
    found = record(tmp_path, revisions)
    assert found.ratios.accuracy == {}
    assert found.omitted["small: accuracy"] == "predictions are not finite"


def test_a_commit_that_cannot_predict_is_left_out_with_the_reason(tmp_path, revisions, monkeypatch):
    def refuse(*_):
        raise WorkerError("no such student", "Unavailable")

    monkeypatch.setattr(recording, "predict_in", refuse)
    assert record(tmp_path, revisions).omitted["small: accuracy"] == "no such student"
