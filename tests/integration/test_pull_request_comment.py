"""The comment on a pull request: what a stranger's job left is not trusted.

GitHub is a stand-in.
"""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="PyYAML comes with asv, in the extra perf")
from workflow_steps import ROOT, run, steps

COMMIT = "a" * 40
#: Answers as `gh api` does, and notes what it is asked.
GH = """#!{python}
import json, pathlib, sys

folder = pathlib.Path(__file__).parent
arguments = sys.argv[2:]
sent = sys.stdin.read() if "--input" in arguments else ""
with (folder / "log").open("a") as log:
    print(json.dumps([arguments, sent]), file=log)
answers = json.loads((folder / "answers").read_text())
path = next(a for a in arguments if a.startswith("repos/"))
if "--method" not in arguments:
    print(answers[path])
"""


@pytest.fixture
def comment(tmp_path: Path):
    """Run the workflow's command; how it ended, and what was asked of GitHub."""
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH.format(python=sys.executable))
    gh.chmod(0o755)
    (command,) = steps("comment", "comment").values()

    def comment(*, head: str = COMMIT, known: str = ""):
        answers = {"repos/o/r/pulls/7": head, "repos/o/r/issues/7/comments": known}
        (gh.parent / "answers").write_text(json.dumps(answers))
        done = run(
            f'PATH="{gh.parent}:$PATH"; {command}',
            ROOT,
            RUNNER_TEMP=str(tmp_path),
            GITHUB_REPOSITORY="o/r",
            TITLE="GPU",
            COMMIT=COMMIT,
            RUN="https://example.org/run",
        )
        log = gh.parent / "log"
        asked = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return done, [(a, json.loads(sent)["body"]) for a, sent in asked if "--method" in a]

    return comment


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "number").write_text("7\n")
    (folder / "ab.md").write_text("### Speed: pass\n\nthanks to @everybody\n")
    return folder


def test_the_first_run_writes_a_comment_and_later_ones_replace_it(comment, report):
    done, ((arguments, body),) = comment()
    assert done.returncode == 0, done
    assert arguments[:3] == ["--method", "POST", "repos/o/r/issues/7/comments"]
    assert body.startswith("<!-- mlffd: GPU -->\n### Speed: pass")
    assert "[run](https://example.org/run)" in body

    _, (_, (arguments, _)) = comment(known="41\n42\n")
    assert arguments[:3] == ["--method", "PATCH", "repos/o/r/issues/comments/41"]


@pytest.mark.parametrize("at", ["@", "&#64;", "&#064", "&#x40;", "&#X0040;", "&commat;"])
def test_nobody_is_called(comment, report, at):
    (report / "ab.md").write_text(f"thanks to {at}everybody &#640; &lt;")
    _, ((_, body),) = comment()
    assert "thanks to @\u200beverybody &#640; &lt;" in body


@pytest.mark.parametrize(
    "number", ["", "0", "-7", "7 8", "7/../../hooks", "\u0667", "1" * 20, "$(id)"]
)
def test_a_number_that_is_none_is_refused(comment, report, number):
    (report / "number").write_text(number)
    done, written = comment()
    assert (done.returncode, written) == (2, [])
    assert "no number of a pull request" in done.stderr


def test_the_pull_request_of_somebody_else_gets_no_comment(comment, report):
    done, written = comment(head="b" * 40)
    assert (done.returncode, written) == (1, [])


def test_a_link_is_not_followed(comment, report, tmp_path):
    (tmp_path / "secret").write_text("token")
    (report / "ab.md").unlink()
    (report / "ab.md").symlink_to(tmp_path / "secret")
    done, written = comment()
    assert (done.returncode, written) == (2, [])


def test_a_long_text_is_cut_and_bytes_are_refused(comment, report):
    for character in "x@":
        (report / "ab.md").write_text(character * 100_000)
        *_, (_, body) = comment()[1]
        assert 50_000 < len(body) < 65_536
    (report / "ab.md").write_bytes(b"\xff\xfe")
    assert comment()[0].returncode == 2


def test_a_run_without_a_result_says_so(comment, report):
    (report / "ab.md").unlink()
    _, ((_, body),) = comment()
    assert "There is no result" in body
