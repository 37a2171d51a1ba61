"""Mutants are what their operators promise, and are killed by the tests that reach them."""

import sys

import pytest

pytest.importorskip("cosmic_ray", reason="needs --group mutation")

MODULE = '''\
"""Limits."""

from dataclasses import dataclass

LIMIT = 1e-5


@dataclass(frozen=True)
class Found:
    """One."""

    size: float | None = None


def judge(sizes: list[float]) -> bool:
    """Doc: 3 > 2."""
    if not sizes:
        raise ValueError(f"expected {2 * 3} sizes")
    return max(s for s in sizes if s > 0) <= LIMIT
'''


@pytest.fixture
def mutation(root, monkeypatch):
    """The folder of the scripts, as `python` puts it in front of where it looks for modules."""
    names = ("operators", "mutants", "tests_of", "collect", "analyse")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(root / "benchmarks" / "mutation"))
    yield __import__("mutants")
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def found(mutation, tmp_path):
    (tmp_path / "limits.py").write_text(MODULE, encoding="utf-8")
    return list(mutation.mutants_of(tmp_path / "limits.py"))


def test_every_mistake_of_a_small_module_is_made_once(found):
    changed = {(mutant.before, mutant.after.replace("  ", " ")) for mutant in found}
    line = "return max(s for s in sizes if s > 0) <= LIMIT"
    assert changed == {
        ("LIMIT = 1e-5", "LIMIT = 2e-05"),
        ("LIMIT = 1e-5", "LIMIT = 5e-06"),
        ("if not sizes:", "if sizes:"),
        ("if not sizes:", "if not not sizes:"),
        ('raise ValueError(f"expected {2 * 3} sizes")', "pass"),
        (line, line.replace("max", "min")),
        (line, line.replace("<= L", "< L")),
        (line, line.replace("<= L", "> L")),
        (line, line.replace("s > 0", "s >= 0")),
        (line, line.replace("s > 0", "s <= 0")),
        (line, line.replace("s > 0", "not (s > 0)")),
        (line, line.replace("> 0", "> 1")),
        (line, line.replace("> 0", "> -1")),
    }
    assert len(found) == len(changed)


def test_what_runs_on_import_is_told_from_bodies_of_functions(found):
    bodies = {mutant.before: mutant.body for mutant in found}
    assert bodies.pop("LIMIT = 1e-5") is None
    assert {first <= 17 <= last for first, last in bodies.values()} == {True}


def test_examples_of_operators_are_what_they_do(mutation):
    from cosmic_ray.mutating import mutate_code

    own = [o for o in mutation.OPERATORS.values() if type(o).__module__ == "operators"]
    assert len(own) >= 6
    for operator in own:
        for example in operator.examples():
            changed = mutate_code(example.pre_mutation_code, operator, example.occurrence)
            assert changed.split() == example.post_mutation_code.split()


def test_a_process_of_its_own_returns_what_it_found_or_that_it_was_ended(mutation):
    tests_of = __import__("tests_of")
    assert tests_of.in_a_fork(lambda: {"outcome": "survived"}, None) == {"outcome": "survived"}

    def endless():
        while True:
            pass

    assert tests_of.in_a_fork(endless, 1) is None
    with pytest.raises(RuntimeError, match="ended with an error"):
        tests_of.in_a_fork(lambda: 1 / 0, 5)


def test_excuses_are_of_survivors_only(mutation, tmp_path):
    analyse = __import__("analyse")
    record = {
        "key": "src/mlffd/checks/a.py: x = 1 -> x = 2",
        "module": "checks/a.py",
        "line": 3,
        "before": "x = 1",
        "after": "x = 2",
    }
    path = tmp_path / "justified.toml"
    path.write_text(
        '[[justified]]\nreason = "Any number: will do."\n'
        'mutants = ["checks/a.py: x = 1 -> x = 2"]\n',
        encoding="utf-8",
    )
    reasons = analyse.reasons_of(path, [record])
    text = analyse.survivors_text([record], reasons)
    assert text.startswith("1 survived. For none of them a test")
    assert "### Any number\n\nwill do.\n\n- `checks/a.py`, line 3: `x = 1` becomes `x = 2`" in text
    assert analyse.survivors_text([record], {}).startswith("1 survived. For 1 of them a test")
    with pytest.raises(analyse.InputError, match=r"no survivors: checks/a\.py: x = 1"):
        analyse.reasons_of(path, [])
