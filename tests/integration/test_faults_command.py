"""``mlffd faults``: what is planted is caught, what is known is kept, what escapes is red."""

import json

import pytest
from mlffd_command import assert_refused

from mlffd.faults.matrix import chosen_faults

FAULT = "forces_sign"


@pytest.fixture
def judged(project, mlffd):
    """A project whose student has a golden."""
    assert mlffd("golden", "accept", "--reason", "a baseline to plant in").code == 0
    return project


@pytest.fixture
def plant(judged, mlffd):
    """Plants without clean runs, with what is known in a folder of the project."""

    def run(*arguments: str):
        return mlffd("faults", "--clean", "0", "--jobs", "1", "--cache", "known", *arguments)

    return run


def test_a_fault_is_caught_and_reported(judged, plant):
    result = plant("--only", FAULT, "--json", "found.json", "--page", "found.md")
    assert (result.code, result.err) == (0, "")
    assert (
        "small: 1 of 1 faults were caught; 0 false alarms in 0 clean runs, 0 checks in all"
        in result.out
    )
    (fault,) = json.loads((judged.folder / "found.json").read_text())["faults"]
    assert (fault["name"], fault["escaped"]) == (FAULT, [])
    assert {"forces_are_gradient", "matches_golden"} <= fault["detected"].keys()
    page = (judged.folder / "found.md").read_text(encoding="utf-8")
    assert "| `forces_sign` | Forces are the gradient of the energy, not its negative." in page
    assert "<svg" in (judged.folder / "found.svg").read_text(encoding="utf-8")


def test_what_is_known_is_not_tried_again_and_what_escapes_is_red(judged, plant):
    assert plant("--only", FAULT).code == 0
    (known,) = judged.folder.glob(f"known/*/{FAULT}.json")
    known.write_text(known.read_text().replace('"fail"', '"pass"'))
    result = plant("--only", FAULT)
    assert result.code == 1
    assert "ESCAPED" in result.out
    assert f"{FAULT} escaped: forces_are_gradient: pass at 1" in result.out


def test_another_golden_makes_what_was_known_worthless(judged, plant):
    assert plant("--only", FAULT).code == 0
    record = json.loads(judged.record.read_text())
    judged.record.write_text(json.dumps(record))  # the same, in other bytes
    assert plant("--only", FAULT).code == 0
    assert len(list(judged.folder.glob(f"known/*/{FAULT}.json"))) == 2


def test_clean_runs_raise_no_alarm_and_say_how_many_there_were(judged, mlffd):
    arguments = ["--only", FAULT, "--clean", "1", "--jobs", "1", "--cache", "known"]
    result = mlffd("faults", *arguments, "--json", "found.json")
    document = json.loads((judged.folder / "found.json").read_text())
    assert document["false_alarms"] == []
    assert (result.code, document["clean_runs"]) == (0, 1)
    assert document["clean_checks"] > 10


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--only", "forces_singed"], ("--only", "forces_singed", "forces_sign")),
        (["--student", "tiny"], ("'tiny'", "small")),
        (["--json", "nowhere/found.json"], ("--json",)),
    ],
    ids=["fault", "student", "folder"],
)
def test_what_cannot_be_done_is_refused(plant, arguments, fragments):
    only = [] if "--only" in arguments else ["--only", FAULT]
    assert_refused(plant(*only, *arguments), *fragments)


def test_a_student_without_a_golden_cannot_be_judged(project, mlffd):
    project.settings.write_text("[students.small]\ncheckpoint = 'small.pt'\n")
    result = mlffd("faults", "--only", FAULT, "--clean", "0")
    assert_refused(result, "no student with a golden and a data set")


def test_what_only_a_clock_can_tell_is_tried_if_it_is_asked_for():
    def names(*only: str, timed: bool = False):
        return {fault.name for fault in chosen_faults(only, timed=timed)}

    assert "slower" not in names() | names("speed")
    assert "slower" in names(timed=True) & names("speed", timed=True) & names("slower")
    assert "slower" not in names("weights", timed=True)
