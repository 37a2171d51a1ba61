"""Two revisions side by side: each checked out and installed by itself, with torch shared."""

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from mlffd.errors import BuildError, InputError
from mlffd.files import write_folder_once

_PROJECT_FILES = ("pyproject.toml", "setup.py")
_LINES = 8  # of what a failed build said, from its end


@dataclass(frozen=True)
class Built:
    """A revision that can be run.

    Attributes:
        commit: its full name.
        root: its checkout, with its own settings and checkpoints.
        packages: what was installed of it, and nothing else; None if there is nothing to install.
    """

    commit: str
    root: Path
    packages: Path | None

    def environment(self) -> dict[str, str]:
        """Variables for a Python that imports this revision first, and anything else as usual."""
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        if self.packages is not None:
            variables["PYTHONPATH"] = str(self.packages)
        return variables


def default_cache() -> Path:
    """Where built revisions are kept: they never change."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mlffd" / "revisions"


def resolve(repository: Path, revision: str) -> str:
    """The full name of a commit.

    Raises:
        InputError: the folder is in no repository, or has no such revision.
    """
    # An argument that begins with a dash would be an option.
    done = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", revision)
    if done.returncode == 0:
        found = _git(
            repository, "rev-parse", "--verify", "--quiet", f"{done.stdout.strip()}^{{commit}}"
        )
        if found.returncode == 0:
            return found.stdout.strip()
    raise InputError(f"{repository}: {revision!r} is no commit of a git repository here")


def first_parents(repository: Path, commit: str) -> tuple[str, ...]:
    """Full names, the oldest first.

    Raises:
        InputError: it is a shallow clone, in which the history ends early.
    """
    shallow, listed = (
        subprocess.run(
            ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True
        ).stdout.split()
        for arguments in (
            ("rev-parse", "--is-shallow-repository"),
            ("rev-list", "--first-parent", "--reverse", commit),
        )
    )
    if shallow == ["true"]:
        raise InputError(
            f"{repository}: a shallow clone, expected the whole history: git fetch --unshallow, "
            "or fetch-depth: 0 of actions/checkout"
        )
    return tuple(listed)


def build(repository: Path, commit: str, cache: Path | None = None) -> Built:
    """Check out a commit and install it to a folder of its own, unless that was done before.

    Dependencies, torch first, are those of the Python that runs this: they are what stays equal.
    A repository without a Python project, only with settings and checkpoints, needs no install.

    Args:
        repository: a folder in it.
        commit: full name, see `resolve`.
        cache: where to keep it; None: `default_cache`.

    Raises:
        BuildError: it cannot be checked out or installed; the message ends as the build did.
        InputError: the cache cannot be written to.
    """
    # What is built depends on the Python, too.
    tag = f"{commit}-{sys.implementation.cache_tag}"
    folder = (cache or default_cache()).resolve() / tag  # workers run elsewhere
    write_folder_once(folder, lambda aside: _build(repository, commit, aside))
    packages = folder / "packages"
    return Built(commit, folder / "checkout", packages if packages.exists() else None)


def _build(repository: Path, commit: str, folder: Path) -> None:
    root = folder / "checkout"
    top = _git(repository, "rev-parse", "--show-toplevel").stdout.strip()
    # A clone, not a worktree: it leaves no trace in the repository, and outlives it being moved.
    _run(["git", "clone", "--quiet", "--no-checkout", "--local", top, str(root)], commit)
    _run(["git", "-C", str(root), "checkout", "--quiet", "--detach", commit], commit)
    if any((root / name).exists() for name in _PROJECT_FILES):
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        options = ["--disable-pip-version-check", "--target", str(folder / "packages")]
        if _can_build_here(root):
            options.append("--no-build-isolation")
        _run([*install, *options, str(root)], commit)


def _can_build_here(root: Path) -> bool:
    """Whether what builds the project is installed: then the network is not needed."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = [Requirement(text) for text in project["build-system"]["requires"]]
        return all(version(one.name) in one.specifier for one in wanted)
    except (OSError, ValueError, KeyError, TypeError, PackageNotFoundError):
        return False  # pip says what is wrong with the project, if anything is


def _run(command: list[str], commit: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LINES:])
        raise BuildError(f"{commit[:12]} cannot be built: {' '.join(command[:3])}: {said}")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
