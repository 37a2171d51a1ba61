"""asv's own pages, made by asv from the results that are stored."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mlffd.errors import InputError
from mlffd.optional import import_optional

_LINES = 8  # of what asv said, from its end

#: asv's list of pages begins here.
_LIST = '<li id="nav-li-" '
_WAY_BACK = '<li><a href="../index.html">Dashboard</a></li>\n        '


def read_configuration(path: Path) -> Any:  # noqa: ANN401 - asv publishes no types
    """What asv is told; folders that it names are as from the file's own.

    Raises:
        InputError: the file is not there or is damaged.
        MissingPackageError: asv is not installed.
    """
    asv = import_optional("asv.config", extra="perf")
    errors = import_optional("asv.util", extra="perf")
    try:
        found = asv.Config.load(str(path))
    except (errors.UserError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a configuration of asv: {error}") from error
    for name in ("results_dir", "html_dir", "env_dir", "benchmark_dir"):
        setattr(found, name, str(path.absolute().parent / getattr(found, name)))
    return found


def has_results(configuration: Any) -> bool:  # noqa: ANN401
    """Whether there is something that asv could publish."""
    return (Path(configuration.results_dir) / "benchmarks.json").is_file()


def read_machines(configuration: Any) -> dict[str, dict[str, str]]:  # noqa: ANN401
    """What asv noted of each machine with results, by its name there."""
    machines = import_optional("asv.machine", extra="perf")
    load = import_optional("asv.util", extra="perf").load_json
    found = {}
    for path in machines.iter_machine_files(configuration.results_dir):
        facts = {str(key): str(value) for key, value in load(path).items() if value}
        facts.pop("version", None)
        found[facts.pop("machine")] = facts
    return found


def publish(path: Path, folder: Path) -> None:
    """Let asv write its pages.

    Args:
        path: of asv's configuration.
        folder: that is yet to be made.

    Raises:
        InputError: asv could not; the message ends as its own did.
        MissingPackageError: asv is not installed.
    """
    import_optional("asv", extra="perf")
    command = [sys.executable, "-m", "asv", "--config", path.name, "publish"]
    options = ["--no-pull", "--html-dir", str(folder.absolute())]
    done = subprocess.run(
        [*command, *options],
        cwd=path.absolute().parent,  # asv takes its folders to be as from where it is started
        capture_output=True,
        text=True,
        check=False,
    )
    index = folder / "index.html"
    if done.returncode != 0 or not index.is_file():
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LINES:])
        raise InputError(f"{path}: asv publish: {said}")
    _drop_unmeasured(folder)
    text = index.read_text(encoding="utf-8")
    index.write_text(text.replace(_LIST, _WAY_BACK + _LIST, 1), encoding="utf-8")


def _drop_unmeasured(folder: Path) -> None:
    """Take out of asv's list what no commit has a result of: its pages would ask for it in vain."""
    sanitize = import_optional("asv.util", extra="perf").sanitize_filename
    path = folder / "index.json"
    document = json.loads(path.read_bytes())
    document["benchmarks"] = {
        name: benchmark
        for name, benchmark in document["benchmarks"].items()
        if (folder / "graphs" / "summary" / f"{sanitize(name)}.json").is_file()
    }
    path.write_text(json.dumps(document), encoding="utf-8")
