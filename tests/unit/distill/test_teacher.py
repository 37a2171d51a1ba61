"""Teachers: the default one, and any other that is named."""

import json
import sys

import numpy as np
import pytest
from teacher_samples import lennard_jones

from mlffd.distill.teacher import DEFAULT, describe_teacher, load_teacher
from mlffd.errors import InputError
from mlffd.optional import import_optional


def test_a_teacher_is_loaded_by_its_name():
    assert load_teacher("teacher_samples:lennard_jones") is lennard_jones


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("teacher_samples", "expected module:callable"),
        (":lennard_jones", "expected module:callable"),
        ("teacher_samples:", "expected module:callable"),
        ("no_such_module:teacher", "No module named 'no_such_module'"),
        ("teacher_samples:absent", "has no attribute 'absent'"),
        ("teacher_samples:number", "is a int, expected a callable"),
        (".samples:teacher", "relative import"),
    ],
)
def test_a_name_that_names_no_teacher_is_refused(name, reason):
    with pytest.raises(InputError, match=f"teacher: .*{reason}"):
        load_teacher(name)


def test_a_teacher_that_cannot_be_made_is_refused_with_its_reason():
    with pytest.raises(InputError, match="'teacher_samples:failing': RuntimeError: no licence"):
        describe_teacher("teacher_samples:failing")


def test_what_returns_no_calculator_is_refused():
    with pytest.raises(InputError, match="returns a str, expected a calculator of ASE"):
        describe_teacher("teacher_samples:no_calculator")


def test_a_teacher_is_described_by_what_it_states():
    described = describe_teacher("teacher_samples:lennard_jones")
    assert described["teacher"] == "teacher_samples:lennard_jones"
    assert described["method"] == "LennardJones"
    assert described["program"] == "ase"
    assert str(described["version"])[0].isdigit()
    assert json.loads(str(described["settings"]))["sigma"] == 1.5
    assert "accuracy" not in described


def test_the_default_is_gfn2_xtb_with_tight_thresholds():
    pytest.importorskip("tblite.ase", reason="the default teacher needs tblite")
    described = describe_teacher(DEFAULT)
    assert described["method"] == "GFN2-xTB"
    assert described["program"] == "tblite"
    assert described["accuracy"] == 0.1


def test_the_default_teacher_without_tblite_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(InputError, match=r"tblite is not installed.*mlffd\[label\]"):
        describe_teacher(DEFAULT)


def test_a_missing_extra_is_answered_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite.interface", None)
    with pytest.raises(InputError, match=r"tblite is not installed.*mlffd\[label\]"):
        import_optional("tblite.interface", extra="label")


def test_the_default_teacher_is_new_each_time():
    pytest.importorskip("tblite.ase", reason="the default teacher needs tblite")
    teacher = load_teacher(DEFAULT)
    assert teacher() is not teacher()
    assert np.isclose(teacher().parameters["accuracy"], 0.1)
