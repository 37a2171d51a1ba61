"""Where and with what something was computed: written into every record and report."""

import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("mlffd", "torch", "numpy", "ase", "vesin", "h5py")


def describe_environment(device: str = "cpu") -> dict[str, Any]:
    """Versions, machine, device, threads and precision switches, as plain JSON types."""
    import torch  # late: the command line must be able to fail without paying for this

    description: dict[str, Any] = {
        "device": device,
        "machine": platform.machine(),
        "platform": platform.system(),
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "versions": {name: _version(name) for name in _PACKAGES},
    }
    if torch.device(device).type == "cuda":
        description["device_name"] = torch.cuda.get_device_name(device)
        description["cuda"] = torch.version.cuda
    return description


def environment_keys(device: str = "cpu") -> tuple[str, ...]:
    """Names of this environment, most specific first: ``cuda:sm_90`` before ``cuda``."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return (f"cuda:sm_{major}{minor}", "cuda")
    return (kind,)


def describe_commit(folder: Path) -> dict[str, Any]:
    """The commit checked out at a folder, and whether files differ from it; empty outside git.

    A folder that is yet to be made belongs to the nearest one above it.
    """
    folder = next(f for f in (folder, *folder.absolute().parents) if f.is_dir())
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}


def command_line() -> str:
    """How this process was called, without the path of the program."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def now() -> str:
    """The time, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
