"""What the workflows do for five pushes, with their own commands and a bare repository as remote.

Timed: five gates with real slowdowns. They need a core for themselves, and some minutes.
"""

import faulthandler
import itertools
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pushed_project import WORKLOAD, Project, git, make_remote, published
from workflow_steps import run, steps

from mlffd.performance.revisions import default_cache

pytest.importorskip("asv", reason="asv is in the extra perf")
pytestmark = pytest.mark.timed

MACHINE = "sequence"
#: All that asv measures of a commit would take longer than the rest: here it is little, and once.
ASV = "Record with asv"
HISTORY, LITTLE = "--selection history", r"--bench '^size\.Checkpoints'"


@dataclass
class Push:
    """What became of a push.

    Attributes:
        subject: of its commit.
        commit: that was pushed.
        checkout: in which the job ran.
        codes: of the steps, by name.
        said: by the steps.
    """

    subject: str
    commit: str
    checkout: Path
    codes: dict[str, int] = field(default_factory=dict)
    said: str = ""

    @property
    def is_red(self) -> bool:
        return any(self.codes.values())

    @property
    def report(self) -> dict:
        return json.loads((self.checkout / "report" / "ab.json").read_text())


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a runner has; npm's packages are taken from where they are, if they are."""
    home = tmp_path_factory.mktemp("home")
    cache = home / "cache" / "mlffd"
    cache.mkdir(parents=True)
    known = default_cache().with_name("npm")
    known.mkdir(parents=True, exist_ok=True)
    (cache / "npm").symlink_to(known)
    return {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "MACHINE": MACHINE}


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_remote(tmp_path_factory.mktemp("sequence") / "remote.git")


@pytest.fixture(scope="module")
def pushes(remote: Path, variables: dict[str, str]) -> list[Push]:
    """Five commits, each pushed, measured and published before the next."""
    # Minutes, not a hang: each command has a time limit of its own.
    faulthandler.cancel_dump_traceback_later()
    project = Project(remote.parent / "project", remote)
    project.push("Start")
    changes = {
        "Pin the reference": project.pin_reference,
        "Compute something twice": lambda: project.slow_down(0.15),
        "Explain": lambda: project.explain_more("More words."),
        "Train for a shorter time": project.make_less_accurate,
        "Explain more": lambda: project.explain_more("Even more words."),
    }
    found = []
    for subject, change in changes.items():
        before = git(project.folder, "rev-parse", "HEAD")
        change()
        commit = project.push(subject)
        checkout = remote.parent / commit[:12]
        git(remote, "clone", "--quiet", str(remote), str(checkout))
        found.append(push := Push(subject, commit, checkout))
        commands = steps("benchmarks", "measure") | steps("benchmarks", "publish")
        asv = commands.pop(ASV).replace(HISTORY, LITTLE)
        if subject == list(changes)[-1]:
            commands = {ASV: asv, **commands}
        for name, command in commands.items():
            done = run(command, checkout, BEFORE=before, NUMBER="", **variables)
            push.codes[name] = done.returncode
            push.said += f"{done.stdout}{done.stderr}\n"
    return found


def test_exactly_the_slower_and_the_less_accurate_push_turn_red(pushes: list[Push]) -> None:
    red = {push.subject: push.codes for push in pushes if push.is_red}
    assert list(red) == ["Compute something twice", "Train for a shorter time"], [
        (push.subject, push.codes, push.said) for push in pushes
    ]
    for codes in red.values():
        assert {name: code for name, code in codes.items() if code} == {"Gate": 1}


def test_each_is_red_for_what_it_did(pushes: list[Push]) -> None:
    slower, worse = pushes[1].report, pushes[3].report
    (speed,) = slower["findings"]
    assert speed["verdict"] == "fail"
    assert 1.08 < speed["head"]["ratio"] < 1.25
    assert slower["accuracy"][0]["verdict"] == "pass"
    assert worse["findings"][0]["verdict"] == "pass"
    assert worse["accuracy"][0]["verdict"] == "fail"


def test_each_push_was_held_against_the_one_before(pushes: list[Push]) -> None:
    for before, after in itertools.pairwise(pushes):
        assert (after.report["base"], after.report["head"]) == (before.commit, after.commit)


def test_the_results_of_all_are_published(pushes: list[Push], remote: Path) -> None:
    found = published(remote)
    stored = [found[f"asv_benchmarks/ratios/{MACHINE}/{p.commit[:12]}.json"] for p in pushes]
    assert [ratios["commit"] for ratios in stored] == [push.commit for push in pushes]
    first, slower, *later = [ratios["benchmarks"][WORKLOAD]["ratio"] for ratios in stored]
    assert first < 1.06 < slower
    assert all(ratio > 1.06 for ratio in later)  # nobody has undone it
    errors = [ratios["accuracy"]["ultra_tiny"]["force_rmse"] for ratios in stored]
    assert errors[0] == pytest.approx(errors[2], rel=1e-4)
    assert errors[3] > 1.005 * errors[2]
    assert "asv_benchmarks/results/benchmarks.json" in found
    assert git(remote, "rev-list", "--count", "benchmark-results") == "5"
    assert git(remote, "rev-list", "--count", "main") == "6"


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_site_is_published_from_the_results(
    pushes: list[Push], remote: Path, variables: dict[str, str]
) -> None:
    pytest.importorskip("otava", reason="apache-otava is not installed")
    checkout = remote.parent / "publishing"
    git(remote, "clone", "--quiet", str(remote), str(checkout))
    for command in steps("benchmarks", "site").values():
        done = run(command, checkout, **variables)
        assert done.returncode == 0, done
    assert "5 commits on 1 machine" in done.stdout
    page = "".join(p.read_text() for p in (checkout / "site").glob("*") if p.is_file())
    for push in pushes:
        assert push.commit[:12] in page, push.subject
    assert (checkout / "site" / "asv" / "index.html").is_file()
