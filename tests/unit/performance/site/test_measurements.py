import ast
import json
from types import SimpleNamespace

import pytest

pytest.importorskip("asv", reason="asv is not installed")

from mlffd.errors import InputError
from mlffd.performance.site.measurements import (
    PROGRAMS,
    QUANTITIES,
    MeasuredError,
    read_errors,
    read_measurements,
)
from mlffd.performance.site.publishing import has_results, publish, read_configuration

EAGER = "inference.EagerPerStructure.time_energy_and_forces"
RUNTIMES = "inference.Runtimes.time_energy_and_forces"
OTHER = "inference.EagerPerAtom.time_energy_and_forces"
FORCES = "accuracy.Forces.track_rmse"
COMMIT = "a" * 40
NAMES = {
    EAGER: ["student", "system", "device"],
    RUNTIMES: ["student", "runtime", "system", "device"],
    OTHER: ["student", "system", "device"],
    FORCES: ["student"],
}


@pytest.fixture
def store(tmp_path):
    """Stores a result of asv: values of a benchmark, by what its parameters can be."""

    def write(name, params, values, *, version="1"):
        shown = [[repr(value) for value in group] for group in params]
        benchmark = {"name": name, "param_names": NAMES[name], "params": shown, "version": "1"}
        folder = tmp_path / "asv_benchmarks" / "results"
        machine = {"machine": "m", "version": 1}
        result = {
            "commit_hash": COMMIT,
            "env_name": "e",
            "date": 0,
            "params": {"machine": "m"},
            "python": "",
            "requirements": {},
            "result_columns": ["result", "params", "version"],
            "results": {name: [values, shown, version]},
            "version": 2,
        }
        for path, document in (
            (folder / "benchmarks.json", {name: {**benchmark, "type": "time"}, "version": 2}),
            (folder / "m" / "machine.json", machine),
            (folder / "m" / "aaaaaaaa-e.json", result),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document))
        return SimpleNamespace(results_dir=str(folder), benchmark_dir="", regex=None)

    return write


def test_a_time_knows_what_it_is_of_and_where_its_page_is(store):
    told = store(EAGER, [["tiny"], ["batch1", "batch8"], ["cpu"]], [0.5, 0.25])

    first, second = read_measurements(told)

    assert (first.machine, first.commit, first.student) == ("m", COMMIT, "tiny")
    assert (first.program, first.device) == ("eager/fp32", "cpu")
    assert (first.system, first.seconds) == ("batch1", 0.5)
    assert (second.system, second.seconds) == ("batch8", 0.25)
    assert second.page == (
        f"#{EAGER}?machine=m&p-student=%27tiny%27&p-system=%27batch8%27&p-device=%27cpu%27"
    )


def test_a_runtime_may_come_with_a_precision(store):
    runtimes = ["compiled", "onnx/int8-weights"]
    told = store(RUNTIMES, [["tiny"], runtimes, ["batch1"], ["cpu"]], [0.5, 0.25])

    programs = [one.program for one in read_measurements(told)]

    assert programs == ["compiled/fp32", "onnx/int8-weights"]


def test_what_was_skipped_or_failed_is_left_out(store):
    told = store(EAGER, [["tiny"], ["batch1", "batch8"], ["cpu"]], [None, float("nan")])

    assert read_measurements(told) == []


def test_times_of_an_older_version_of_a_benchmark_are_left_out(store):
    told = store(EAGER, [["tiny"], ["batch1"], ["cpu"]], [0.5], version="0")

    assert read_measurements(told) == []


def test_seconds_per_atom_are_no_seconds_per_structure(store):
    told = store(OTHER, [["tiny"], ["batch1"], ["cpu"]], [0.5])

    assert read_measurements(told) == []


def test_errors_are_called_what_the_history_calls_them(store):
    told = store(FORCES, [["original", "tiny"]], [0.04, 0.07])

    assert read_errors(told) == [
        MeasuredError("m", COMMIT, "original", "force_rmse", 0.04),
        MeasuredError("m", COMMIT, "tiny", "force_rmse", 0.07),
    ]
    assert read_measurements(told) == []


def test_the_errors_are_those_of_the_suite(root):
    suite = ast.parse((root / "asv_benchmarks" / "benchmarks" / "accuracy.py").read_text())
    found = {
        f"accuracy.{owner.name}.{method.name}"
        for owner in suite.body
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef)
    }

    assert found >= set(QUANTITIES)


def test_the_benchmarks_are_those_of_the_suite(root):
    suite = ast.parse((root / "asv_benchmarks" / "benchmarks" / "inference.py").read_text())
    classes = {node.name: node for node in suite.body if isinstance(node, ast.ClassDef)}

    for name, program in PROGRAMS.items():
        module, owner, method = name.split(".")
        assert module == "inference"
        assert method in {m.name for m in classes[owner].body if isinstance(m, ast.FunctionDef)}
        (names,) = (
            ast.literal_eval(statement.value)
            for statement in classes[owner].body
            if isinstance(statement, ast.Assign) and statement.targets[0].id == "param_names"
        )
        assert {"student", "system", "device"} <= set(names)
        assert ("runtime" in names) is (program is None)


def test_a_configuration_names_folders_as_from_its_own(tmp_path):
    path = tmp_path / "asv.conf.json"
    path.write_text('{"version": 1, "repo": ".", "results_dir": "asv_benchmarks/results"} // so')

    told = read_configuration(path)

    assert told.results_dir == str(tmp_path / "asv_benchmarks" / "results")
    assert not has_results(told)


@pytest.mark.parametrize("text", ["{", '{"version": 1}', None])
def test_a_damaged_configuration_is_named(tmp_path, text):
    path = tmp_path / "asv.conf.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(InputError, match=r"asv\.conf\.json: not a configuration of asv"):
        read_configuration(path)


def test_what_asv_says_when_it_cannot_publish_is_passed_on(tmp_path):
    path = tmp_path / "asv.conf.json"
    path.write_text('{"version": 1, "repo": "."}')

    with pytest.raises(InputError, match=r"(?s)asv\.conf\.json: asv publish: .*DVCS"):
        publish(path, tmp_path / "pages")
