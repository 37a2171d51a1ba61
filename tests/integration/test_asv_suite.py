"""asv's suite can be trusted: what it measures is well described, and silence is no success."""

import importlib
import json
import math
import re
import subprocess
import sys
from itertools import product

import pytest

from mlffd.errors import BuildError, MissingDeviceError, MlffdError, NothingMeasuredError

pytest.importorskip("asv", reason="asv is in the extra perf")

#: What every student, system and device is small and there for.
SMALL = {"'ultra_tiny'", "'batch1'", "'cpu'", "'safetensors'"}


@pytest.fixture
def modules(root, monkeypatch):
    """The modules of the suite, imported anew, and gone afterwards."""
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", [str(root / "asv_benchmarks"), *sys.path])
    monkeypatch.delenv("MLFFD_MEASURED_PACKAGES", raising=False)
    folder = root / "asv_benchmarks" / "benchmarks"
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    yield {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    for name in sys.modules.keys() - before.keys():
        if name.partition(".")[0] in ("benchmarks", "harness"):
            del sys.modules[name]


@pytest.fixture
def benchmarks(root, modules):
    """What asv discovers."""
    from asv_runner.discovery import disc_benchmarks

    return list(disc_benchmarks(str(root / "asv_benchmarks" / "benchmarks")))


@pytest.fixture
def run(root, monkeypatch, tmp_path):
    """`run.py`, in this process; asv's notes of machines are put into a folder of the test."""
    monkeypatch.syspath_prepend(root / "asv_benchmarks")
    for name in ("run", "measured"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("run")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in module.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)  # so that it is taken back
    return module


SUITE = """
import os

class Works:
    params = (["small", "large"],)
    version = "1"
    unit = "operators"

    def track_seven(self, size):
        return {"small": 7, "large": 8}[size]

class Fails:
    params = (["small", "large"],)
    version = "1"

    def track_half(self, size):
        if size == "large":
            raise RuntimeError("planted")
        return 1

class Skips:
    version = "1"

    def setup(self):
        raise NotImplementedError("planted")

    def track_nothing(self):
        return 1

class SaysWhere:
    version = "1"

    def track_root(self):
        return len(os.environ["MLFFD_MEASURED_ROOT"])
"""


@pytest.fixture
def suite(root, tmp_path):
    """A repository with a commit, and a suite beside it: one works, one fails, one skips."""
    folder = tmp_path / "project"
    (folder / "bench").mkdir(parents=True)
    (folder / "bench" / "__init__.py").touch()
    (folder / "bench" / "fake.py").write_text(SUITE, encoding="utf-8")
    settings = {"project": "fake", "benchmark_dir": "bench", "results_dir": "kept"}
    config = {**json.loads((root / "asv.conf.json").read_text(encoding="utf-8")), **settings}
    path = folder / "asv.conf.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return path


def names(benchmarks):
    """As expressions are matched with: one for each combination of parameters."""
    return [
        f"{b.name}({', '.join(combination)})" if combination else b.name
        for b in benchmarks
        for combination in product(*b.params)
    ]


def arguments(suite, *more):
    cache = str(suite.parent.parent / "cache")
    return ["HEAD", "--config", str(suite), "--cache", cache, "--machine", "here", *more]


def kept(suite):
    (path,) = (suite.parent / "kept" / "here").glob("*-py3*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_benchmark_has_a_version_of_its_own_a_unit_and_a_name_of_its_own(benchmarks):
    assert len({b.name for b in benchmarks}) == len(benchmarks) > 20
    for benchmark in benchmarks:
        assert benchmark.version.isdigit(), benchmark.name  # asv's own is a hash
        assert benchmark.unit != "unit", benchmark.name
        assert len(benchmark.param_names) == len(benchmark.params), benchmark.name


def test_every_benchmark_can_be_called_with_its_parameters(root, benchmarks):
    """What `asv check` does."""
    folder = str(root / "asv_benchmarks" / "benchmarks")
    assert not [b.name for b in benchmarks if not b.check(folder)]


def test_every_concern_is_measured(benchmarks):
    concerns = {b.name.partition(".")[0] for b in benchmarks}
    assert concerns == {
        *("accuracy", "counters", "data", "exporting", "inference"),
        *("loading", "memory", "neighbour_lists", "size"),
    }


def test_nothing_is_called_like_the_hook_that_asv_looks_for_in_modules(modules):
    for module in modules.values():
        assert not [name for name in vars(module) if name.lower() in ("setup", "teardown")]


def test_the_selection_of_the_history_finds_something_by_each_expression(benchmarks, run):
    asked = run._parse(["--selection", "history"])
    for expression in run._selected(asked):
        assert any(re.search(expression, name) for name in names(benchmarks)), expression


def test_the_cpu_alone_is_asked_for_unless_told_otherwise(benchmarks, run):
    (everything,) = run._selected(run._parse([]))
    chosen = {name for name in names(benchmarks) if re.search(everything, name)}
    assert chosen == {name for name in names(benchmarks) if "'cuda'" not in name}
    assert run._selected(run._parse(["--device", "cuda"])) == [""]


@pytest.mark.parametrize(
    "wanted",
    [
        *("accuracy.Energy", "counters.Eager.track_operators", "data.Golden.time_first"),
        *("exporting.Exporting", "inference.EagerPerStructure", "loading.Loading", "memory.Host"),
        *("neighbour_lists.PerStructure.time_collate", "size.Checkpoints"),
    ],
)
def test_it_runs_and_builds_once_however_often_asv_calls_setup(
    benchmarks, modules, monkeypatch, wanted
):
    monkeypatch.setattr(modules["common"].Timed, "repeat", 1)
    monkeypatch.setattr(modules["common"].Timed, "warmup_time", 0)
    (benchmark,) = (b for b in benchmarks if b.name.startswith(wanted))
    benchmark._current_params = tuple(
        next((p for p in values if repr(p) in SMALL), values[0]) for values in benchmark._params
    )
    common = modules["common"]
    assert not benchmark.do_setup(), "skipped"
    before = common.prepared.cache_info().misses, common.eager.cache_info().misses
    assert not benchmark.do_setup()
    assert (common.prepared.cache_info().misses, common.eager.cache_info().misses) == before
    assert benchmark.do_run() is not None


def test_seconds_are_per_structure_and_per_atom(benchmarks, modules, monkeypatch):
    """Eight molecules of 16 atoms: the seconds of a call, divided by 8, and by 128."""
    monkeypatch.setattr(modules["common"], "timer_for", lambda device: lambda: 128.0)
    calls = modules["inference"]._Calls()
    workload = modules["inference"].Workload("ultra_tiny", system="batch8")
    calls.take(workload)
    assert calls.timer() == 16.0
    calls.take(workload, per_atom=True)
    assert calls.timer() == 1.0


def test_a_missing_student_or_gpu_is_skipped(modules, monkeypatch, tmp_path):
    common = modules["common"]
    monkeypatch.setattr(common.torch.cuda, "is_available", lambda: False)
    with pytest.raises(NotImplementedError, match="cuda"):
        common.require_device("cuda")
    monkeypatch.setattr(common, "REVISION", tmp_path)
    with pytest.raises(NotImplementedError, match="ultra_tiny"):
        common.checkpoint("ultra_tiny")


def test_another_mlffd_than_the_one_that_results_are_filed_under_is_noticed(modules, tmp_path):
    with pytest.raises(RuntimeError, match="expected that in"):
        modules["common"]._require_revision(str(tmp_path))


def test_outcomes_are_counted_one_by_one(run):
    row = [[1.0, math.nan, None, 2.0], [["'a'", "'b'"], ["'cpu'", "'cuda'"]]]
    lost = [None, [["'a'", "'b'"]]]  # asv's short form of "all failed"
    document = {"result_columns": ["result", "params"], "results": {"x": row, "y": lost}}
    failed = ("x('b', 'cpu')", "y('a')", "y('b')")
    assert run.tally(document) == run.Tally(measured=2, on_gpu=1, skipped=1, failed=failed)


def test_what_works_is_kept_and_what_fails_makes_the_run_fail(run, suite):
    with pytest.raises(MlffdError, match=r"failed: fake.Fails.track_half\('large'\)$") as raised:
        run.main(arguments(suite))
    assert raised.value.exit_code == 3
    document = kept(suite)
    assert document["results"]["fake.Works.track_seven"][0] == [7, 8]
    assert document["results"]["fake.Fails.track_half"][0] == [1, None]
    assert math.isnan(document["results"]["fake.Skips.track_nothing"][0][0])
    assert document["device_state"]["before"]["threads"] == "1"
    assert sys.executable not in json.dumps(document)


def test_benchmarks_that_are_measured_again_replace_their_results_and_no_others(run, suite):
    run.main(arguments(suite, "--bench", "Works"))
    path = suite.parent / "bench" / "fake.py"
    path.write_text(SUITE.replace("return 1", "return 3"), encoding="utf-8")
    run.main(arguments(suite, "--bench", "Fails.*small"))
    results = kept(suite)["results"]
    assert results["fake.Works.track_seven"][0] == [7, 8]
    assert results["fake.Fails.track_half"][0][0] == 3


def test_a_suite_that_is_skipped_is_no_success(run, suite):
    with pytest.raises(NothingMeasuredError, match="skipped") as raised:
        run.main(arguments(suite, "--bench", "Skips"))
    assert raised.value.exit_code == 5
    assert not (suite.parent / "kept").exists()


def test_a_selection_of_nothing_is_no_success(run, suite):
    with pytest.raises(NothingMeasuredError, match="no benchmark is called"):
        run.main(arguments(suite, "--bench", "Nonesuch"))


def test_a_suite_that_cannot_be_imported_is_no_success(run, suite):
    (suite.parent / "bench" / "fake.py").write_text("import planted_fault", encoding="utf-8")
    with pytest.raises(BuildError) as raised:
        run.main(arguments(suite))
    assert raised.value.exit_code == 4


def test_a_gpu_that_is_not_there_is_no_success(run, suite, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(MissingDeviceError) as raised:
        run.main(arguments(suite, "--device", "cuda"))
    assert raised.value.exit_code == 6


def test_a_gpu_on_which_nothing_ran_is_no_success(run):
    with pytest.raises(NothingMeasuredError, match="GPU"):
        run._require_measured(run.Tally(measured=9, on_gpu=0, skipped=0, failed=()), "cuda")


@pytest.fixture
def throughput(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "asv_benchmarks")
    monkeypatch.delitem(sys.modules, "throughput_page", raising=False)
    return importlib.import_module("throughput_page")


def test_the_old_table_is_read_as_molecules_with_their_own_neighbours(throughput):
    rows = {row[0]: throughput._reported_row(*row) for row in throughput.REPORTED}
    assert (rows[1][3], rows[32][3]) == ("337", "875")  # molecules per second, not atoms
    right, joined = throughput.neighbours(32)
    assert joined > 30 * right


def test_throughputs_are_reciprocals_of_the_newest_commit(throughput, tmp_path):
    columns = ["result", "params", "stats_q_25", "stats_q_75"]
    params = [["'tiny'"], ["'batch8'"], ["'cpu'", "'cuda'"]]
    for date, seconds in ((1, 0.5), (2, 0.002)):
        row = [[seconds, math.nan], params, [seconds / 2, None], [seconds * 2, None]]
        document = {
            "date": date,
            "result_columns": columns,
            "commit_hash": f"{date}" * 40,
            "results": {throughput.BENCHMARK: row},
            "environment": {"versions": {"torch": "2"}},
            "device_state": {"before": {"processor": "some"}},
        }
        path = tmp_path / f"{date}-py3.11.json"
        path.write_text(json.dumps(document), encoding="utf-8")
    page = throughput.page(throughput.documents(tmp_path), "command")
    assert "| `batch8` | 500 [250, 1000] |" in page
    assert page.index("`111111111111` | 1970") < page.index("`222222222222` | 1970")


def test_the_page_of_throughputs_is_that_of_the_results(root, throughput):
    """If this fails, run the command that the page names."""
    page = (root / "docs" / "reference" / "throughput.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"Generated by `python (.*)`", page)
    machine = re.search(r"--machine (\S+)", command)[1]
    found = throughput.documents(root / "asv_benchmarks" / "results" / machine)
    assert throughput.page(found, command) == page
