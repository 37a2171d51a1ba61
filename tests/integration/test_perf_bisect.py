"""Bisecting a slowdown: real git, and a stand-in for the comparison that takes minutes."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlffd.errors import BuildError, InputError, MissingDeviceError, MlffdError
from mlffd.errors import NothingMeasuredError as NothingMeasured
from mlffd.performance import bisect as bisect_module
from mlffd.performance.bisect import Bisection, bisect

NAME = "small/eager/fp32/cpu/batch8"

#: Answers as the comparison does, from a table: by commit its exit code, verdict and ratio.
STAND_IN = """
import json, os, sys
from pathlib import Path

folder = Path(__file__).parent
options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
assert Path(options.get("--config", __file__)).exists()
table = json.loads((folder / "table.json").read_text())
with (folder / "log").open("a") as log:
    print(options["--head"], options["--base"], options["--only"], os.getcwd(), file=log)
assert not any(name.startswith("GIT_DIR") for name in os.environ)
code, verdict, ratio = table[options["--head"]]
if verdict:
    head = ratio and {"ratio": ratio, "interval": [ratio - 0.01, ratio + 0.01], "launches": 4}
    finding = {"verdict": verdict, "message": "measured", "head": head}
    other = {"workload": "another", "verdict": "fail", "message": "", "head": None}
    findings = [other, {"workload": options["--only"], **finding}]
    Path(options["--json"]).write_text(json.dumps({"findings": findings}))
else:
    print("mlffd: error: it went wrong", file=sys.stderr)
sys.exit(code)
"""


def git(folder: Path, *arguments: str) -> str:
    identity = {
        f"GIT_{who}_{what}": "someone@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


FAST, SLOW = (0, "pass", 1.0), (1, "fail", 1.15)
UNCLEAR, UNBUILT = (3, "inconclusive", 1.03), (4, None, None)


@dataclass
class Project:
    """A repository, and what the stand-in says of its commits."""

    folder: Path
    stand_in: Path
    commits: list[str]

    def says(self, *answers: tuple[int, str | None, float | None]) -> None:
        """Of each commit, the oldest first."""
        table = dict(zip(self.commits, answers, strict=True))
        (self.stand_in.parent / "table.json").write_text(json.dumps(table))

    def bisect(self, good: str = "HEAD~7", bad: str = "HEAD") -> Bisection:
        compare = (sys.executable, str(self.stand_in))
        return bisect(self.folder, good, bad, NAME, compare=compare)

    @property
    def calls(self) -> list[list[str]]:
        lines = (self.stand_in.parent / "log").read_text().splitlines()
        return [line.split(" ") for line in lines]


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commits = []
    for number in range(8):
        git(folder, "commit", "-q", "--allow-empty", "-m", f"change {number}")
        commits.append(git(folder, "rev-parse", "HEAD"))
    stand_in = tmp_path / "stand_in" / "compare.py"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    return Project(folder, stand_in, commits)


@pytest.mark.parametrize("guilty", [1, 4, 7])
def test_the_guilty_commit_is_found_with_its_ratio(project, guilty):
    project.says(*[FAST] * guilty, *[SLOW] * (8 - guilty))
    found = project.bisect()
    assert found.exit_code == 1
    assert found.suspects == (project.commits[guilty],)
    assert found.subjects == (f"change {guilty}",)
    assert found.guilty.ratio == 1.15
    assert found.guilty.interval == (1.14, 1.16)
    order = [project.commits.index(trial.commit) for trial in found.trials]
    assert order == sorted(order)
    assert 2 <= len(order) <= 4  # halved, not one by one
    assert json.loads(json.dumps(found.as_dict()))["suspects"][0]["commit"] == found.guilty.commit


def test_of_two_neighbours_the_later_one_is_guilty_after_one_comparison(project):
    project.says(*[FAST] * 7, SLOW)
    found = project.bisect("HEAD~1")
    assert (found.exit_code, found.guilty.commit) == (1, project.commits[7])
    assert len(project.calls) == 1


def test_every_commit_is_held_against_the_good_one_in_the_repository(project):
    project.says(*[FAST] * 4, *[SLOW] * 4)
    (project.folder / "deep").mkdir()
    project.bisect()
    heads = [call[0] for call in project.calls]
    assert heads[0] == project.commits[7]  # that there is a slowdown at all
    assert len(set(heads)) == len(heads)
    assert {tuple(call[1:]) for call in project.calls} == {
        (project.commits[0], NAME, str(project.folder))
    }


def test_the_repository_stays_as_it_is(project):
    (project.folder / "unsaved.txt").write_text("work")
    git(project.folder, "bisect", "start", "HEAD", "HEAD~3")  # of the user's own
    before = {p: p.stat().st_mtime_ns for p in project.folder.rglob("*") if p.is_file()}
    refs = git(project.folder, "for-each-ref")
    project.says(*[FAST] * 4, *[SLOW] * 4)
    project.bisect(project.commits[0], project.commits[7])
    assert {p: p.stat().st_mtime_ns for p in project.folder.rglob("*") if p.is_file()} == before
    assert git(project.folder, "for-each-ref") == refs


def test_nothing_to_find_if_the_bad_commit_is_not_slower(project):
    project.says(*[FAST] * 8)
    found = project.bisect()
    assert (found.exit_code, found.suspects, found.guilty) == (0, (), None)
    assert found.bad.ratio == 1.0
    assert len(project.calls) == 1


def test_nothing_is_bisected_if_it_is_unclear_whether_the_bad_commit_is_slower(project):
    project.says(*[FAST] * 7, UNCLEAR)
    found = project.bisect()
    assert (found.exit_code, found.suspects) == (3, ())
    assert len(project.calls) == 1


@pytest.mark.parametrize(
    "untestable", [UNCLEAR, UNBUILT, (2, None, None), (5, None, None), (3, "invalid", 1.2)]
)
def test_a_commit_that_cannot_be_judged_is_passed_over(project, untestable):
    project.says(FAST, FAST, FAST, untestable, FAST, SLOW, SLOW, SLOW)
    assert project.bisect().suspects == (project.commits[5],)


def test_a_range_is_named_if_the_commits_around_the_step_cannot_be_judged(project):
    project.says(FAST, FAST, FAST, UNBUILT, UNCLEAR, SLOW, SLOW, SLOW)
    found = project.bisect()
    assert found.exit_code == 3
    assert found.guilty is None
    assert set(found.suspects) == set(project.commits[3:6])


def test_a_commit_that_fails_for_something_else_is_not_slow(project):
    inaccurate = (1, "pass", 1.0)
    project.says(FAST, inaccurate, inaccurate, inaccurate, inaccurate, inaccurate, SLOW, SLOW)
    assert project.bisect().suspects == (project.commits[6],)


def test_a_merge_is_judged_as_a_whole(project):
    git(project.folder, "checkout", "-q", "-b", "side", "HEAD~6")
    git(project.folder, "commit", "-q", "--allow-empty", "-m", "on a branch")
    git(project.folder, "checkout", "-q", "main")
    git(project.folder, "merge", "-q", "--no-ff", "-m", "merged", "side")
    merged = git(project.folder, "rev-parse", "HEAD")
    project.commits = [*project.commits, merged]
    project.says(*[FAST] * 8, SLOW)  # the stand-in knows nothing of the branch
    assert project.bisect(project.commits[0], merged).suspects == (merged,)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((2, None, None), InputError),
        (UNBUILT, BuildError),
        ((5, None, None), NothingMeasured),
        ((6, None, None), MissingDeviceError),
        ((1, None, None), NothingMeasured),  # a verdict without figures
        ((70, None, None), MlffdError),
    ],
)
def test_an_error_at_the_bad_commit_ends_it(project, answer, error):
    project.says(*[FAST] * 7, answer)
    with pytest.raises(error) as raised:
        project.bisect()
    assert type(raised.value) is error
    assert str(raised.value) == f"{project.commits[7][:12]}: it went wrong"


@pytest.mark.parametrize(
    ("answer", "error"), [((6, None, None), MissingDeviceError), ((70, None, None), MlffdError)]
)
def test_an_error_on_the_way_ends_it_and_is_no_verdict(project, answer, error):
    project.says(FAST, *[answer] * 6, SLOW)
    with pytest.raises(error, match="it went wrong"):
        project.bisect()


def test_a_comparison_that_writes_nonsense_ends_it_and_is_no_verdict(project):
    project.says(*[FAST] * 4, *[SLOW] * 4)
    nonsense = f'text = "{{" if options["--head"] != "{project.commits[7]}" else text'
    written = 'text = json.dumps({"findings": findings})\n    ' + nonsense
    project.stand_in.write_text(
        STAND_IN.replace(
            'Path(options["--json"]).write_text(json.dumps({"findings": findings}))',
            f'{written}\n    Path(options["--json"]).write_text(text)',
        )
    )
    with pytest.raises(MlffdError, match=r"(?s)git bisect run: .*JSONDecodeError"):
        project.bisect()


@pytest.mark.parametrize(
    ("good", "bad"), [("HEAD", "HEAD"), ("HEAD", "HEAD~3"), ("elsewhere", "HEAD"), ("HEAD", "no")]
)
def test_good_and_bad_that_are_not_one_before_the_other_are_refused(project, good, bad):
    git(project.folder, "branch", "elsewhere", "HEAD~2")
    git(project.folder, "checkout", "-q", "elsewhere")
    git(project.folder, "commit", "-q", "--allow-empty", "-m", "aside")
    git(project.folder, "checkout", "-q", "main")
    with pytest.raises(InputError):
        project.bisect(good, bad)


@pytest.fixture
def command(project, mlffd, monkeypatch, tmp_path):
    """`mlffd perf bisect` in the repository, with the stand-in, and what it wrote."""
    monkeypatch.setattr(bisect_module, "COMPARE", (sys.executable, str(project.stand_in)))
    monkeypatch.chdir(project.folder)
    (project.folder / "mlffd.toml").write_text("")
    page, figures = tmp_path / "bisect.md", tmp_path / "bisect.json"

    def run():
        files = ("--json", figures, "--markdown", page)
        result = mlffd("perf", "bisect", "--good", "HEAD~7", "--benchmark", NAME, *files)
        return result, page.read_text(encoding="utf-8"), json.loads(figures.read_text())

    return run


def test_the_command_names_the_commit_with_its_ratio(project, command):
    project.says(*[FAST] * 6, *[SLOW] * 2)
    result, page, figures = command()
    assert result.code == figures["exit_code"] == 1
    guilty, good = project.commits[6][:12], project.commits[0][:12]
    said = f"{guilty} made {NAME} slower by 15.0% than {good}:"
    assert said in result.out.splitlines()
    assert f"  {guilty} change 6" in result.out.splitlines()
    assert page.startswith(said)
    assert figures["suspects"] == [{"commit": project.commits[6], "subject": "change 6"}]


def test_the_command_names_a_range_or_that_there_is_nothing(project, command):
    project.says(FAST, FAST, FAST, FAST, FAST, UNBUILT, SLOW, SLOW)
    result, page, _ = command()
    assert result.code == 3
    assert f"one of 2 commits made {NAME} slower" in result.out
    assert {f"- {project.commits[i][:12]} change {i}" for i in (5, 6)} <= set(page.splitlines())
    project.says(*[FAST] * 8)
    result, page, figures = command()
    assert (result.code, figures["suspects"]) == (0, [])
    assert "is not slower than" in result.out
