"""Put the result of a workflow on its pull request, in one comment that each run replaces.

    python .ci/comment.py FOLDER --title GPU --commit SHA --run URL

FOLDER holds `number`, that of the pull request, and `ab.md`, what `mlffd perf ab --markdown` wrote.
Both come from a job that ran the code of the pull request: they are untrusted. The number is
believed only if the head of that pull request is the commit that the workflow ran on; the text can
mention nobody. Everything else comes from GitHub. Needs gh, GH_TOKEN and GITHUB_REPOSITORY.

Exit code 0: it is there; 1: it is not that pull request, or GitHub refused; 2: bad usage or input.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: GitHub takes 65,536 characters.
MOST_CHARACTERS = 60_000
BOT = "github-actions[bot]"
#: Nobody is called by a name behind it, and it looks the same.
ZERO_WIDTH_SPACE = "\u200b"
#: However it is written.
AT = re.compile(r"@|&(#0*64(?!\d)|#x0*40(?![\da-f])|commat);?", re.IGNORECASE)


class UntrustedInputError(Exception):
    """What the other job left is not what it should be."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write or replace the comment.

    Raises:
        UntrustedInputError: the folder does not hold what it should.
        LookupError: the pull request is another one's, or has moved on.
        subprocess.CalledProcessError: GitHub refused.
    """
    parser = argparse.ArgumentParser(description="Puts a result on its pull request.")
    parser.add_argument("folder", type=Path, help="with number and ab.md")
    parser.add_argument("--title", required=True, help="of the workflow; one comment for each")
    parser.add_argument("--commit", required=True, help="that the workflow ran on")
    parser.add_argument("--run", required=True, help="address of the workflow's run")
    asked = parser.parse_args(arguments)
    number = read_number(asked.folder / "number")
    repository = f"repos/{os.environ['GITHUB_REPOSITORY']}"
    head = gh(f"{repository}/pulls/{number}", "--jq", ".head.sha").strip()
    if head != asked.commit:
        raise LookupError(f"pull request {number} is at {head}, this is about {asked.commit}")
    marker = f"<!-- mlffd: {asked.title} -->"
    body = json.dumps({"body": text(marker, asked.title, asked.run, asked.folder / "ab.md")})
    comments = f"{repository}/issues/{number}/comments"
    own = f'.[] | select(.user.login == "{BOT}") | select(.body | startswith("{marker}")) | .id'
    known = gh("--paginate", comments, "--jq", own).split()
    if known:
        target = ["--method", "PATCH", f"{repository}/issues/comments/{known[0]}"]
    else:
        target = ["--method", "POST", comments]
    gh(*target, "--input", "-", sent=body)


def read_number(path: Path) -> int:
    """That of a pull request.

    Raises:
        UntrustedInputError: it is none.
    """
    found = read(path, 32).strip()
    if not re.fullmatch(r"[1-9][0-9]{0,9}", found, re.ASCII):
        raise UntrustedInputError(f"{path}: {found!r} is no number of a pull request")
    return int(found)


def text(marker: str, title: str, run: str, path: Path) -> str:
    """The comment: a marker to find it by, the result, and where it is from.

    Raises:
        UntrustedInputError: the result is not readable text.
    """
    if path.exists() or path.is_symlink():
        result = read(path, MOST_CHARACTERS)
    else:
        result = "There is no result: the run says why."
    result = AT.sub(f"@{ZERO_WIDTH_SPACE}", result)[:MOST_CHARACTERS]
    return f"{marker}\n{result}\n\n{title}: [run]({run})\n"


def read(path: Path, most: int) -> str:
    """So many characters at most of a file that a stranger wrote.

    Raises:
        UntrustedInputError: it is a link, or no text.
    """
    if path.is_symlink() or not path.is_file():
        raise UntrustedInputError(f"{path}: no regular file")
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(most)
    except UnicodeDecodeError as error:
        raise UntrustedInputError(f"{path}: no text: {error}") from error


def gh(*arguments: str, sent: str | None = None) -> str:
    """What GitHub answers."""
    command = ["gh", "api", *arguments]
    return subprocess.run(command, input=sent, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    try:
        main()
    except UntrustedInputError as error:
        sys.stderr.write(f"comment: error: {error}\n")
        sys.exit(2)
    except (LookupError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"comment: error: {error}\n")
        sys.exit(1)
