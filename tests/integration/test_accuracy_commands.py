"""``mlffd compare``, ``accuracy`` and ``card``: who is better, at what, and how sure is that?"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mlffd_command import assert_refused
from small_project import ELEMENTS, Project, labelled_structures, save_student, small_student

from mlffd.golden.predicting import predict_all
from mlffd.runtimes.eager import EagerPotential
from mlffd.structures.dataset import write_dataset
from mlffd.structures.structure import Structure


def noisy_student(size: float, seed: int = 5):
    """The student of the project, with noise on its weights."""
    student = small_student()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in student.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(size * parameter.abs().mean() * noise)
    return student


def nearly_labelled_by(student, count: int = 48) -> list[Structure]:
    """Structures whose labels are what a student says, a little off."""
    structures = labelled_structures(count)
    predictions = predict_all(EagerPotential(student), structures)
    generator = np.random.default_rng(3)
    return [
        replace(
            s,
            energy=float(predictions.energy[i]) + 0.01 * generator.normal(),
            forces=predictions.forces_of(i) + 0.01 * generator.normal(size=(len(s), 3)),
        )
        for i, s in enumerate(structures)
    ]


@pytest.fixture
def rivals(project: Project) -> Project:
    """The project, with labels that its student is good at, and a worse one beside it."""
    structures = nearly_labelled_by(small_student())
    write_dataset(project.dataset, structures, metadata={"method": "a springy teacher"})
    save_student(project.folder / "worse.pt", noisy_student(0.5))
    save_student(project.folder / "same.pt")
    return project


def test_a_worse_candidate_is_a_regression(rivals, mlffd):
    result = mlffd("compare", "small", "worse.pt", "--data", "data", "--json", "c.json")

    assert result.code == 1, result.out
    assert result.out.splitlines()[-1].startswith("fail: significantly worse in energy_mae")
    document = json.loads((rivals.folder / "c.json").read_text())
    assert (document["verdict"], document["exit_code"]) == ("fail", 1)
    assert document["teacher"] == "a springy teacher"
    statuses = {n: m["status"] for n, m in document["comparison"]["metrics"].items()}
    assert set(statuses.values()) == {"regressed"}
    rmse = document["comparison"]["metrics"]["forces_rmse"]
    assert 0 < rmse["change"]["low"] < rmse["change"]["estimate"] < rmse["change"]["high"]
    assert set(document["comparison"]["by_element"]) == {"H", "C", "N", "O"}
    assert len(document["comparison"]["worst"]) == 10


def test_a_better_candidate_passes_and_is_told(rivals, mlffd):
    result = mlffd("compare", "worse.pt", "small", "--data", "data")

    assert result.code == 0
    assert "pass: significantly better in energy_mae_per_atom" in result.out


def test_identical_students_pass_and_are_told(rivals, mlffd):
    """The file named twice, and a copy, against the data that the settings name for it."""
    for arguments in (("small", "same.pt", "--data", "data"), ("small", "small")):
        result = mlffd("compare", *arguments)
        assert result.code == 0
        assert result.out.splitlines()[-1] == "pass: the students are identical"
        assert "+0%" in result.out


def test_too_few_structures_decide_nothing(rivals, mlffd):
    write_dataset(rivals.folder / "few.h5", nearly_labelled_by(small_student(), 8), metadata={})

    result = mlffd("compare", "small", "worse.pt", "--data", "few.h5")

    assert result.code == 3
    assert result.out.splitlines()[-1].startswith("inconclusive: too few structures")


def test_a_candidate_whose_predictions_are_no_numbers_is_worse(rivals, mlffd):
    student = small_student()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.fill_(3e38)
    save_student(rivals.folder / "huge.pt", student)

    result = mlffd("compare", "small", "huge.pt", "--data", "data")
    assert result.code == 1, result.out
    assert_refused(mlffd("compare", "huge.pt", "small", "--data", "data"), "huge.pt", "not finite")


def test_elements_that_were_not_trained_are_noted(rivals, mlffd):
    structures = nearly_labelled_by(small_student())
    foreign = [
        replace(s, numbers=np.where(s.numbers == ELEMENTS[-1], 9, s.numbers)) for s in structures
    ]
    write_dataset(rivals.dataset, foreign, metadata={})

    result = mlffd("compare", "small", "same.pt", "--data", "data")

    assert "small was not trained on F, which the data hold" in result.out


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("small", "none.pt"), ("none.pt", "neither a file nor a name")),
        (("small", "data"), ("data.h5: a data set, expected a student",)),
        (("small", "worse.pt"), ("--data", "small and worse")),
        (("small", "worse.pt", "--data", "none"), ("--data: none: neither a file nor a data set",)),
        (("small", "worse.pt", "--data", "bare.h5"), ("bare.h5: ", "no energy or no forces")),
        (("small", "worse.pt", "--data", "odd.h5"), ("odd.h5: ", "labels that are not finite")),
        (("small", "worse.pt", "--data", "data", "--json", "no/c.json"), ("--json", "no")),
        (("small", "worse.pt", "--data", "data", "--device", "cuda:99"), ("cuda:99",)),
    ],
)
def test_what_cannot_be_compared_is_bad_input(rivals, mlffd, arguments, fragments):
    bare = [s.with_positions(s.positions) for s in labelled_structures(3)]
    write_dataset(rivals.folder / "bare.h5", bare, metadata={})
    odd = [replace(s, energy=float("nan")) for s in labelled_structures(3)]
    write_dataset(rivals.folder / "odd.h5", odd, metadata={})

    assert_refused(mlffd("compare", *arguments), *fragments)


def test_accuracy_is_shown_by_element_size_and_kind(rivals, mlffd):
    result = mlffd("accuracy", "small", "--json", "a.json")

    assert result.code == 0
    for heading in ("element", "atoms", "kind", "worst structures"):
        assert any(line.startswith(heading) for line in result.out.splitlines())
    assert "errors against a springy teacher, 48 structures" in result.out
    document = json.loads((rivals.folder / "a.json").read_text())
    (student,) = document["students"]
    assert student["breakdown"]["overall"]["forces_rmse"]["value"] == pytest.approx(0.01, rel=0.2)
    assert document["standings"] == []


def test_accuracy_puts_students_side_by_side(rivals, mlffd):
    result = mlffd("accuracy", "small", "worse.pt", "--data", "data", "--json", "a.json")

    assert result.code == 0
    told = "small is significantly better than worse in energy_mae_per_atom (+"
    assert any(told in line for line in result.out.splitlines())
    (standings,) = json.loads((rivals.folder / "a.json").read_text())["standings"]
    assert list(standings["students"]) == ["small", "worse"]  # the better one first
    (pair,) = standings["pairs"]
    assert pair["metrics"]["forces_rmse"]["status"] == "regressed"


def test_accuracy_of_all_students_needs_some(project, mlffd):
    project.settings.write_text("")

    assert_refused(mlffd("accuracy"), "no student")


def add_rival(project: Project) -> None:
    with project.settings.open("a") as file:
        file.write(
            "[students.worse]\ncheckpoint = 'worse.pt'\ndataset = 'data'\n"
            "golden = 'golden/worse.json'\n"
        )


def test_a_check_of_several_students_ends_with_their_standings(rivals, mlffd):
    add_rival(rivals)
    assert mlffd("golden", "accept", "--reason", "for a test").code == 0

    result = mlffd("check", "--only", "accuracy", "--json", "r.json")

    assert result.code == 0, result.out
    lines = result.out.splitlines()
    heading = next(i for i, line in enumerate(lines) if line.startswith("accuracy on "))
    assert "against a springy teacher" in lines[heading]
    assert [line.split()[0] for line in lines[heading + 3 : heading + 5]] == ["small", "worse"]
    assert "small is significantly better than worse" in lines[heading + 5]
    document = json.loads((rivals.folder / "r.json").read_text())
    (standings,) = document["standings"]
    assert list(standings["students"]) == ["small", "worse"]
    (first, *_) = document["evidence"]
    assert set(first["details"]["by_element"]) == {"H", "C", "N", "O"}
    assert len(first["details"]["worst"]) == 10
    overall = first["details"]["overall"]["forces_mae"]
    assert overall["low"] < overall["value"] < overall["high"]


def test_one_student_has_no_standings(rivals, mlffd):
    assert mlffd("golden", "accept", "--reason", "for a test").code == 0

    result = mlffd("check", "--only", "accuracy", "--json", "r.json")

    assert result.code == 0
    assert json.loads((rivals.folder / "r.json").read_text())["standings"] == []


def test_a_card_is_written(rivals, mlffd):
    result = mlffd("card", "small", "-o", "a.md")

    assert (result.code, result.out) == (0, "")
    lines = Path("a.md").read_text(encoding="utf-8").splitlines()
    for heading in ("# small", "## How it was made", "## Physics", "## Known limits"):
        assert heading in lines
    assert any(line.startswith("| `nve_conservation` |") for line in lines)


def test_a_card_needs_labelled_data(rivals, mlffd):
    assert_refused(mlffd("card", "small", "-o", "no/a.md"), "--output", "no")
    assert_refused(mlffd("card", "small", "--data", "data", "--data", "data.h5"), "named twice")
    rivals.settings.write_text("")
    assert_refused(mlffd("card", "worse.pt"), "--data")
