"""The workflows as they are: what tests run are their own commands."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML comes with asv, in the extra perf")

ROOT = Path(__file__).parents[2]
#: What GitHub sets, and what would make the commands look elsewhere.
_UNSET = ("BEFORE", "GITHUB_BASE_REF", "PYTHONPATH")


def workflows() -> dict[str, dict[str, Any]]:
    """All of them, by name of the file. The key `on` is true to YAML 1.1."""
    paths = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths}


def steps(workflow: str, job: str) -> dict[str, str]:
    """The commands of a job by name, without those that install."""
    found = workflows()[workflow]["jobs"][job]["steps"]
    return {
        step["name"]: step["run"]
        for step in found
        if "run" in step and not step["name"].startswith("Install")
    }


def run(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does: in bash, which ends at the first error."""
    environment = {key: value for key, value in os.environ.items() if key not in _UNSET}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
