"""Students measured on labels that one of them has made: the other is off by a known amount."""

import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from judged import COUNT, labelled_structures, predictions_for

from mlffd.checkpoints import load_checkpoint, save_checkpoint
from mlffd.checks import comparing, measuring
from mlffd.checks.cases import Case
from mlffd.checks.comparing import compare_students
from mlffd.checks.evidence import Evidence
from mlffd.checks.measuring import (
    accuracy_of,
    dataset_path,
    errors_of,
    measure,
    measure_on_each,
    named_students,
)
from mlffd.checks.run import run_cases
from mlffd.checks.standings import compare_all
from mlffd.checks.subjects import StudentSubject
from mlffd.config import Settings
from mlffd.errors import InputError
from mlffd.golden.predicting import predict_all
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures.dataset import write_dataset
from mlffd.verdicts import Verdict

STRUCTURES = labelled_structures()


@pytest.fixture
def folder(checkpoint, tmp_path):
    """Students ``near`` and ``far``, and labels that ``near`` misses by noise.

    ``far`` adds 0.1 eV to the energy of every atom, and has the same forces.
    """
    student = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "near.pt", student, elements=[1, 6, 8], training={})
    with torch.no_grad():
        student.get_parameter("energy_head.4.bias").add_(0.1)
    save_checkpoint(tmp_path / "far.pt", student, elements=[1, 6], training={})
    near = predict_all(EagerPotential(load_checkpoint(checkpoint)), STRUCTURES)
    generator = np.random.default_rng(0)
    labelled = [
        type(s)(
            s.numbers,
            s.positions,
            energy=float(near.energy[i]) + 0.03 * float(generator.normal()),
            forces=near.forces_of(i) + 0.05 * generator.normal(size=(3, 3)),
            name=s.name,
        )
        for i, s in enumerate(STRUCTURES)
    ]
    write_dataset(tmp_path / "labels.h5", labelled, metadata={"method": "near and noise"})
    write_dataset(tmp_path / "few.h5", labelled[:3], metadata={})
    return tmp_path


@pytest.fixture
def settings(folder):
    return Settings.model_validate(
        {
            "students": {
                "near": {"checkpoint": folder / "near.pt", "dataset": "labels"},
                "far": {"checkpoint": folder / "far.pt", "dataset": "labels"},
            },
            "datasets": {
                "labels": {"path": folder / "labels.h5"},
                "few": {"path": folder / "few.h5"},
            },
        }
    )


def students_of(folder, names=("near", "far"), data="labels.h5"):
    return [
        StudentSubject(name=name, path=folder / f"{name}.pt", dataset_path=folder / data)
        for name in names
    ]


def test_no_name_measures_all_students_of_the_settings_and_compares_them(settings, folder):
    found = measure([], settings)
    near, far = found.students
    assert (near.student, far.student) == ("near", "far")
    assert (near.dataset, near.teacher, near.largest) == (
        str(folder / "labels.h5"),
        "near and noise",
        3,
    )
    gap = far.breakdown.overall["energy_mae_per_atom"].value
    assert gap == pytest.approx(0.1, abs=0.01)
    assert near.breakdown.overall["energy_mae_per_atom"].value < 0.02
    (standings,) = found.standings
    assert list(standings.accuracy) == ["near", "far"]
    assert [(r.first, r.second) for r in standings.rivalries] == [("near", "far")]
    assert standings.teacher == "near and noise"
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert list(document) == ["environment", "students", "standings"]
    assert document["students"][0]["breakdown"]["structures"] == COUNT
    assert set(document["standings"][0]["students"]) == {"near", "far"}
    metrics = document["standings"][0]["pairs"][0]["metrics"]
    assert metrics["energy_mae_per_atom"]["status"] == "regressed"
    assert metrics["forces_mae"]["status"] == "pass"


def test_another_data_set_can_be_named(settings, folder):
    (near,) = measure(["near"], settings, data="few").students
    assert near.breakdown.structures == 3
    assert near.teacher == "the labels"
    (near,) = measure(["near"], settings, data=str(folder / "few.h5")).students
    assert near.breakdown.structures == 3


def test_a_student_is_measured_on_each_of_several_data_sets(settings, folder):
    (student,) = students_of(folder, ["near"])
    found = measure_on_each(student, ["labels", str(folder / "few.h5")], settings)
    assert {name: a.breakdown.structures for name, a in found.items()} == {
        "labels": COUNT,
        "few": 3,
    }
    with pytest.raises(InputError, match="few: named twice"):
        measure_on_each(student, ["few", str(folder / "few.h5")], settings)
    with pytest.raises(InputError, match="expected a data set: the settings name none"):
        measure_on_each(student, [], settings)


def test_standings_are_of_two_students_or_more_on_the_same_data(folder):
    near, far = students_of(folder)
    alone = StudentSubject(name="alone", path=folder / "near.pt", dataset_path=folder / "few.h5")
    nowhere = StudentSubject(name="nowhere", path=folder / "near.pt")
    (folder / "link.h5").symlink_to(folder / "labels.h5")
    far.dataset_path = folder / "link.h5"
    (found,) = compare_all([far, nowhere, alone, near])
    assert set(found.accuracy) == {"near", "far"}
    assert set(found.parameters) == {"near", "far"}
    assert compare_all([near, alone]) == []


def test_the_smallest_error_of_forces_is_first_and_every_pair_is_compared(folder):
    worst, best, middle = students_of(folder, ["near"] * 3)
    structures = list(worst.dataset)
    for student, name, factor in (
        (worst, "worst", 3.0),
        (best, "best", 1.0),
        (middle, "middle", 2.0),
    ):
        student.name = name
        student.predictions = predictions_for(structures, factor)
    (found,) = compare_all([worst, best, middle])
    assert list(found.accuracy) == ["best", "middle", "worst"]
    pairs = [(r.first, r.second) for r in found.rivalries]
    assert pairs == [("best", "middle"), ("best", "worst"), ("middle", "worst")]
    change = {c.metric: c.change for c in found.rivalries[1].comparisons}["forces_mae"]
    assert change.estimate == pytest.approx(2.0)


def test_a_student_whose_errors_are_not_finite_has_no_place_among_the_others(folder):
    broken, near, far = students_of(folder, ["near", "near", "far"])
    broken.name = "broken"
    broken.predictions = predictions_for(list(broken.dataset), energy=(2, np.nan))
    (found,) = compare_all([broken, near, far])
    assert list(found.accuracy) == ["near", "far"]
    assert compare_all([broken, near]) == []


def test_labels_that_are_not_finite_are_named(folder):
    for key, name in (("labels/energy", "molecule-4"), ("labels/forces", "molecule-2")):
        with h5py.File(folder / "labels.h5", "r+") as file:
            column = next(k for k in _columns(file) if k.endswith(key.rpartition("/")[2]))
            kept = file[column][()]
            changed = kept.copy()
            if changed.ndim == 1 and len(changed) == COUNT:
                changed[4] = np.nan
            else:
                changed.reshape(-1)[3 * 3 * 2 + 4] = np.nan
            file[column][...] = changed
        (student,) = students_of(folder, ["near"])
        with pytest.raises(InputError, match=rf"labels\.h5: {name}: labels that are not finite"):
            errors_of(student)
        student.dataset.close()
        with h5py.File(folder / "labels.h5", "r+") as file:
            file[column][...] = kept


def _columns(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
    return found


def test_without_structures_or_labels_there_is_nothing_to_be_accurate_on(folder):
    (student,) = students_of(folder, ["near"])
    student.dataset = type("Empty", (list,), {"path": folder / "empty.h5"})()
    with pytest.raises(InputError, match=r"empty\.h5: no structures to be accurate on"):
        accuracy_of(student)
    bare = [s.with_positions(s.positions) for s in STRUCTURES]
    write_dataset(folder / "bare.h5", bare, metadata={})
    (student,) = students_of(folder, ["near"], "bare.h5")
    with pytest.raises(InputError, match=r"bare\.h5: .*no energy or no forces"):
        accuracy_of(student)


def test_only_students_can_be_measured(settings, folder):
    with pytest.raises(InputError, match="no student: name a checkpoint"):
        named_students([], settings)
    with pytest.raises(InputError, match=r"labels\.h5: a data set, expected a student"):
        named_students(["near", "labels"], settings)
    artifact = {"artifacts": {"a": {"path": folder / "near.pt", "reference": folder / "near.pt"}}}
    with pytest.raises(InputError, match=r"near\.pt: an artifact, expected a student"):
        named_students(["a"], Settings.model_validate(artifact))
    assert [s.name for s in named_students(["far", "near"], settings)] == ["far", "near"]


def test_the_data_set_of_all_students_is_theirs_if_it_is_the_same(settings, folder):
    near, far = students_of(folder)
    assert dataset_path(None, [near, far], settings) == folder / "labels.h5"
    (folder / "link.h5").symlink_to(folder / "labels.h5")
    far.dataset_path = folder / "link.h5"
    assert dataset_path(None, [near, far], settings) == folder / "link.h5"
    for other in (folder / "few.h5", None):
        far.dataset_path = other
        with pytest.raises(InputError, match="do not name one for near and far"):
            dataset_path(None, [near, far], settings)
    near.dataset_path = None
    with pytest.raises(InputError, match="do not name one for near"):
        dataset_path(None, [near], settings)
    with pytest.raises(InputError, match=r"gone: neither a file nor a data set .*\(labels, few\)"):
        dataset_path("gone", [near], settings)
    with pytest.raises(InputError, match="no names: there are no settings"):
        dataset_path("gone", [near], Settings())


@pytest.mark.parametrize(
    ("names", "verdict", "code", "message"),
    [
        (
            ("near", "far"),
            Verdict.FAIL,
            1,
            "significantly worse in energy_mae_per_atom, energy_rmse_per_atom",
        ),
        (
            ("far", "near"),
            Verdict.PASS,
            0,
            "significantly better in energy_mae_per_atom, energy_rmse_per_atom, and worse in none",
        ),
        (("near", "near"), Verdict.PASS, 0, "the students are identical"),
    ],
)
def test_a_candidate_is_held_against_a_baseline(settings, names, verdict, code, message):
    found = compare_students(*names, settings, data=None)
    assert (found.verdict, found.exit_code, found.message) == (verdict, code, message)
    assert (found.baseline, found.candidate) == names
    assert found.teacher == "near and noise"
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert document["comparison"]["metrics"]["forces_mae"]["status"] == "pass"
    untrained = [f"{name} was not trained on O, which the data hold" for name in names]
    assert found.notes == [note for note in untrained if note.startswith("far")]
    assert found.environment["candidate"] != found.environment["baseline"] or names[0] == names[1]


def test_too_few_structures_decide_nothing(settings):
    found = compare_students("near", "far", settings, data="few")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.message.startswith("too few structures to decide on energy_mae_per_atom")
    assert found.exit_code == 3


def test_the_same_weights_in_another_function_are_not_identical(settings, folder, monkeypatch):
    """Of the same predictions: no difference is significant, but the students are two."""
    original = comparing.named_students

    def renamed(names, *arguments, **options):
        (student,) = original(names, *arguments, **options)
        if names == ["far"]:
            student.path = folder / "near.pt"
            checkpoint = student.checkpoint
            student.checkpoint = SimpleNamespace(
                fingerprint=checkpoint.fingerprint,
                config={**checkpoint.config, "cutoff": 4.9},
                elements=None,
                student=checkpoint.student,
            )
        return [student]

    monkeypatch.setattr(comparing, "named_students", renamed)
    found = compare_students("near", "far", settings, data=None)
    assert found.message == "no significant difference"
    assert found.notes == []


def test_students_of_one_file_name_go_by_their_paths(settings, folder):
    (folder / "other").mkdir()
    (folder / "other" / "near.pt").write_bytes((folder / "far.pt").read_bytes())
    names = str(folder / "near.pt"), str(folder / "other" / "near.pt")
    found = compare_students(*names, settings, data="labels")
    assert (found.baseline, found.candidate) == names


def test_a_baseline_without_numbers_is_nothing_to_compare_with(settings, monkeypatch):
    original = measuring.errors_of

    def broken(student):
        if student.name == "near":
            student.predictions = predictions_for(list(student.dataset), energy=(1, np.nan))
        return original(student)

    monkeypatch.setattr(comparing, "errors_of", broken)
    with pytest.raises(InputError, match=r"near\.pt: .* is not finite on .*nothing to compare"):
        compare_students("near", "far", settings, data=None)
    found = compare_students("far", "near", settings, data=None)
    assert found.verdict is Verdict.FAIL
    worse = "forces_mae, forces_rmse, energy_mae_per_atom, energy_rmse_per_atom"
    assert found.message == f"significantly worse in {worse}"


def test_a_run_compares_students_whose_accuracy_was_judged(folder):
    near, far = students_of(folder)
    third = students_of(folder, ["near"])[0]
    third.name = "third"

    def case(subject, name, verdict):
        function = lambda _: Evidence(verdict, "told to")  # noqa: E731
        return Case(subject, SimpleNamespace(name=name, function=function))

    found = run_cases(
        [
            case(near, "accuracy", Verdict.PASS),
            case(far, "accuracy", Verdict.FAIL),
            case(far, "loads", Verdict.INVALID),
            case(third, "accuracy", Verdict.INVALID),
            case(third, "loads", Verdict.PASS),
        ]
    )
    (standings,) = found.standings
    assert list(standings.accuracy) == ["near", "far"]
    assert [s["dataset"] for s in found.as_dict()["standings"]] == [str(folder / "labels.h5")]
    assert run_cases([case(near, "loads", Verdict.PASS)] * 2).standings == []


def test_the_largest_structure_is_told(folder):
    pair = type(STRUCTURES[0])(
        np.array([1, 8]), np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), energy=0.0,
        forces=np.zeros((2, 3)), name="pair",
    )  # fmt: skip
    write_dataset(folder / "mixed.h5", [STRUCTURES[0], pair], metadata={})
    (near,) = students_of(folder, ["near"], "mixed.h5")
    assert accuracy_of(near).largest == 3
