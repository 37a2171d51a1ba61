import json
import os
import subprocess

import pytest

from mlffd.performance.history_gate import Gate, Standing, Step
from mlffd.performance.history_rules import Rules
from mlffd.performance.ratios import History, Point, Quantity, Series
from mlffd.performance.site.dashboard import write_dashboard
from mlffd.performance.site.dashboard_data import Sources, dashboard_data, judged
from mlffd.performance.site.measurements import MeasuredError, Measurement

SUBJECTS = ("first", "not measured", 'third: </script><script>alert("x")</script> & more')


def git(folder, *arguments):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},  # of whoever runs the tests
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "--quiet")
    for subject in SUBJECTS:
        git(folder, "commit", "--quiet", "--allow-empty", "-m", subject)
    return folder


@pytest.fixture(scope="module")
def commits(repository):
    return tuple(git(repository, "rev-list", "--reverse", "HEAD").split())


def point(commits, position, value, interval=None):
    return Point(commits[position], position, "2026-01-01T00:00:00+00:00", "", value, interval)


@pytest.fixture
def history(commits):
    times = (point(commits, 0, 1.0, (0.9, 1.1)), point(commits, 2, 1.2, (1.1, 1.3)))
    errors = (point(commits, 2, 0.05),)
    return History(
        commits,
        (
            Series("m", Quantity.TIME, "tiny/onnx/int8-weights/cpu/batch32", commits[0], times),
            Series("m", Quantity.COUNTER, "tiny/eager/fp32/cpu/batch32: kernels", None, errors),
            Series("m", Quantity.ACCURACY, "tiny: force_rmse", None, errors),
        ),
        left_out=2,
    )


def measurement(commit, system="batch8", machine="m", seconds=0.5):
    return Measurement(machine, commit, "tiny", "eager/fp32", "cpu", system, seconds, "#page")


def test_commits_are_those_that_anything_is_known_of_in_order(history, commits, repository):
    data = dashboard_data(Sources(history), repository)

    assert [c["commit"] for c in data["commits"]] == [commits[0], commits[2]]
    assert [c["subject"] for c in data["commits"]] == [SUBJECTS[0], SUBJECTS[2]]
    (ratios,) = data["ratios"]
    assert ratios["points"] == [[0, 1.0, 0.9, 1.1], [1, 1.2, 1.1, 1.3]]
    assert (ratios["student"], ratios["program"]) == ("tiny", "onnx/int8-weights")
    assert (ratios["device"], ratios["system"]) == ("cpu", "batch32")
    (errors,) = data["accuracy"]
    assert (errors["student"], errors["quantity"]) == ("tiny", "force_rmse")
    assert errors["points"] == [[1, 0.05]]
    assert data["references"] == [{"commit": commits[0], "index": 0}]


def test_times_of_asv_add_commits_and_machines(history, commits, repository):
    measured = [measurement(commits[1]), measurement(commits[0], machine="other")]

    data = dashboard_data(Sources(history, measured), repository)

    assert [c["commit"] for c in data["commits"]] == list(commits)
    assert [m["name"] for m in data["machines"]] == ["m", "other"]
    assert [s["points"] for s in data["seconds"]] == [[[1, 0.5]], [[0, 0.5]]]
    assert data["ratios"][0]["points"][-1][0] == 2


def test_errors_of_asv_fill_in_what_the_history_has_not(history, commits, repository):
    errors = [
        MeasuredError("m", commits[1], "tiny", "force_rmse", 0.04),
        MeasuredError("m", commits[2], "tiny", "force_rmse", 0.99),
    ]

    data = dashboard_data(Sources(history, errors=errors), repository)

    (series,) = data["accuracy"]
    assert series["points"] == [[1, 0.04], [2, 0.05]]


@pytest.mark.parametrize(
    ("system", "batch"), [("batch1", 1), ("batch512", 512), ("atoms187", None), ("batches", None)]
)
def test_batches_are_told_from_other_systems(history, commits, repository, system, batch):
    data = dashboard_data(Sources(history, [measurement(commits[0], system)]), repository)

    assert data["seconds"][0]["batch"] == batch


def test_what_is_of_another_history_is_left_out_and_counted(history, repository):
    elsewhere = [measurement("f" * 40), measurement("f" * 40, "batch1"), measurement("e" * 40)]

    data = dashboard_data(Sources(history, elsewhere), repository)

    assert data["seconds"] == []
    assert data["left_out"] == 2 + 2  # files of ratios, and commits that asv measured


def test_a_step_points_at_the_first_commit_after_it(history, commits, repository):
    series = history.series[0]
    step = Step(series, *series.points, commits[1:], 1.0, 1.2, 1e-4, Standing.REGRESSION)
    gate = Gate(Rules(), (step,), (series,), (), (), (), 0)

    data = dashboard_data(Sources(history, gate=gate), repository)

    (shown,) = data["steps"]
    assert (shown["index"], shown["candidates"], shown["standing"]) == (1, 2, "regression")
    assert shown["change"] == pytest.approx(0.2)
    assert (shown["last_good"], shown["first_bad"]) == (commits[0][:12], commits[2][:12])
    assert data["judged"] == ["m"]


def test_a_machine_with_too_few_commits_is_not_called_judged(commits, repository):
    """The page would say that nothing has changed, though nobody looked."""
    few = tuple(point(commits, position, 1.0, (0.9, 1.1)) for position in range(3))
    history = History(commits, (Series("m", Quantity.TIME, "tiny", commits[0], few),), 0)

    gate = judged(history, Rules())

    assert dashboard_data(Sources(history, gate=gate), repository)["judged"] == []


def test_without_ratios_there_are_no_steps_and_nothing_fails(commits, repository):
    history = History(commits, (), 0)

    assert judged(history, Rules()) is None
    data = dashboard_data(Sources(history), repository)
    assert (data["steps"], data["judged"]) == ([], [])
    assert (data["commits"], data["machines"], data["ratios"]) == ([], [], [])


def test_a_subject_cannot_end_the_block_of_data(history, repository, tmp_path):
    data = dashboard_data(Sources(history), repository)
    library = tmp_path / "packages" / "uplot" / "dist"
    library.mkdir(parents=True)
    for name in ("uPlot.iife.min.js", "uPlot.min.css"):
        (library / name).touch()

    write_dashboard(data, tmp_path / "packages", tmp_path)

    text = (tmp_path / "index.html").read_text()
    _, _, block = text.partition('<script type="application/json" id="data">')
    stored = json.loads(block.partition("</script>")[0])
    assert stored["commits"][-1]["subject"] == SUBJECTS[2]
    assert "alert(" in text
    assert "<script>alert(" not in text
