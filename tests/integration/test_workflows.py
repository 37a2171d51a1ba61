"""The workflows: what may run where, and how each way of going wrong ends.

No test relies on a clock; `test_perf_sequence` has the same commands
with real slowdowns.
"""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from pushed_project import Project, make_remote
from workflow_steps import run, steps, workflows

pytest.importorskip("asv", reason="asv is in the extra perf")

#: Rules that let no slowdown fail: nothing here is about time.
LENIENT = "slowdown = 5.0\ncertain = 4.0\nvisible = 9.9\n"
ON_GPU = """
[performance.tiers.gpu]
workloads = ["ultra_tiny/eager/fp32/cuda/batch4"]
default = false
"""
SKIPPED = """
class Checkpoints:
    version = "1"

    def setup(self):
        raise NotImplementedError("planted")

    def track_size(self):
        return 1
"""


def jobs() -> dict[str, dict]:
    return {
        f"{name}: {title}": job
        for name, workflow in workflows().items()
        for title, job in workflow["jobs"].items()
    }


def test_every_job_has_a_time_limit_and_no_right_that_it_does_not_name():
    assert len(jobs()) > 8
    for title, job in jobs().items():
        assert 0 < job["timeout-minutes"] <= 240, title
        assert "permissions" in job, title
    assert all(workflow["permissions"] == {} for workflow in workflows().values())


def test_every_step_is_one_command():
    for title, job in jobs().items():
        for step in job["steps"]:
            assert "\n" not in step.get("run", "").strip(), (title, step)
            assert "${{" not in step.get("run", ""), (title, step)


def test_a_machine_of_our_own_runs_no_fork_waits_for_a_review_and_cannot_write():
    own = {title: job for title, job in jobs().items() if "self-hosted" in job["runs-on"]}
    assert list(own) == ["gpu: measure"]
    (job,) = own.values()
    assert job["permissions"] == {"contents": "read"}
    assert "head.repo.full_name == github.repository" in job["if"]
    assert "'gpu-pull-request'" in job["environment"]


def test_only_jobs_without_the_code_of_a_pull_request_can_write():
    writing = {t: j for t, j in jobs().items() if "write" in j["permissions"].values()}
    assert set(writing) == {
        "benchmarks: publish",
        "benchmarks: deploy",
        "comment: comment",
        "gpu: publish",
    }
    for title in ("benchmarks: publish", "gpu: publish"):
        assert "github.event_name != 'pull_request'" in writing[title]["if"]
    for job in writing.values():
        for step in job["steps"]:
            assert "ref" not in step.get("with", {})
            assert "install" not in step.get("run", "")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path / "remote.git")


@pytest.fixture
def project(tmp_path: Path, remote: Path) -> Project:
    project = Project(tmp_path / "project", remote, with_code=False)
    text = project.settings.read_text() + LENIENT + ON_GPU
    project.settings.write_text(text.replace("[performance]\n", "[performance]\nlaunches = 3\n"))
    project.push("Start")
    return project


@pytest.fixture
def end(project: Project, tmp_path: Path):
    """How a step of a workflow ends, at what is pushed."""
    variables = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def end(workflow: str, name: str) -> CompletedProcess[str]:
        (project.folder / "report").mkdir(exist_ok=True)
        command = steps(workflow, "measure")[name]
        return run(command, project.folder, MACHINE="here", SELECTION="history", **variables)

    return end


def test_a_regression_ends_with_1(project, end):
    project.make_less_accurate()
    project.push("Train for a shorter time")
    done = end("benchmarks", "Gate")
    assert done.returncode == 1, done
    report = json.loads((project.folder / "report" / "ab.json").read_text())
    assert report["accuracy"][0]["verdict"] == "fail"
    assert "### Speed: fail" in (project.folder / "report" / "ab.md").read_text()


def test_a_build_that_fails_ends_with_4(project, end):
    (project.folder / "pyproject.toml").write_text("[project]\nname = \n")
    project.push("Break the build")
    done = end("benchmarks", "Gate")
    assert done.returncode == 4, done


def test_a_suite_that_is_skipped_ends_with_5(project, end):
    for path in (project.folder / "asv_benchmarks" / "benchmarks").glob("*.py"):
        path.write_text("")
    (project.folder / "asv_benchmarks" / "benchmarks" / "size.py").write_text(SKIPPED)
    project.push("Skip")
    done = end("benchmarks", "Record with asv")
    assert done.returncode == 5, done
    assert not (project.folder / "measured").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("step", ["Gate", "Record the history", "Record with asv"])
def test_a_runner_without_its_gpu_ends_with_6(project, end, step):
    project.pin_reference()
    project.push("Explain")
    done = end("gpu", step)
    assert done.returncode == 6, done
