"""Measure a commit with asv, and say so if nothing was measured.

    python asv_benchmarks/run.py HEAD
    python asv_benchmarks/run.py v1.0 --selection history --machine cpu-2-cores
    python asv_benchmarks/run.py HEAD --device cuda --export onnx --export aoti

The commit is installed to a folder of its own; torch and all else are those of the Python that runs
this. It needs mlffd's extra `perf`. Results are added to those of the commit and machine.

Exit code 0: measured; 2: bad usage; 3: a benchmark failed; 4: the commit cannot be installed or
exported, or the benchmarks cannot be imported with it; 5: nothing was measured; 6: the device is
not there.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measured import Tally, keep, tally

from mlffd.errors import (
    BuildError,
    InputError,
    MissingDeviceError,
    MlffdError,
    NothingMeasuredError,
)
from mlffd.optional import import_optional
from mlffd.report.console import output

CHECKOUT = Path(__file__).resolve().parents[1]

#: What is worth repeating for every commit, in minutes.
HISTORY = (
    r"^inference\.EagerPerStructure\..*'(batch1|batch8|batch32|batch128|atoms187)'",
    r"^inference\.EagerPerAtom\..*'periodic'",
    r"^neighbour_lists\..*'(batch32|atoms187|atoms2154|periodic)'",
    r"^counters\..*track_(operators|kernels|flops)\(.*'batch1'",
    r"^(accuracy|data)\.",
    r"^loading\.(Importing|Loading)\.",
    r"^size\.Checkpoints\.",
)


#: One thread: more would compare how many cores are free. And memory that is given back to the
#: system after each call, and asked for again, makes large batches slower by what else is going on.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a commit.

    Raises:
        InputError: there is no such commit, or asv is not installed.
        MissingDeviceError: the device is not there.
        BuildError: the commit cannot be installed or exported, or the benchmarks cannot be imported
            with it.
        NothingMeasuredError: no benchmark ran, or none on the device.
        MlffdError: a benchmark failed; what others measured is kept.
    """
    asked = _parse(arguments)
    os.environ.update({k: os.environ.get(k, v) for k, v in ENVIRONMENT.items()})
    import_optional("asv", extra="perf")
    # Late: this loads torch, which reads the environment.
    from mlffd.environment import describe_environment
    from mlffd.performance.harness.clocks import device_state
    from mlffd.performance.ratios import require_machine
    from mlffd.performance.revisions import Built, build, resolve

    require_machine(asked.machine)
    _require(asked.device)
    commit = resolve(asked.config.parent, asked.revision)
    if asked.installed:
        built = Built(commit, asked.config.parent, None)
    else:
        built = build(asked.config.parent, commit, asked.cache)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        variables = {**os.environ, **_variables(built.root, built.packages)}
        if asked.export:
            variables["MLFFD_MEASURED_EXPORTS"] = str(folder / "exports")
            _export(asked.export, built.root, folder / "exports", variables)
        before = device_state(asked.device)
        found = _run_asv(asked, commit, folder, variables)
        about = {
            "device_state": {"before": before, "after": device_state(asked.device)},
            "environment": describe_environment(asked.device),
        }
        counted = tally(json.loads(found.read_text(encoding="utf-8")))
        _require_measured(counted, asked.device)
        kept = keep(found, asked.results or _results(asked.config), about)
    output().print(
        f"{commit[:12]}: measured {counted.measured}, of them {counted.on_gpu} on a GPU;"
        f" skipped {counted.skipped}; failed {len(counted.failed)}; {kept}"
    )
    if counted.failed:
        raise MlffdError(f"failed: {', '.join(counted.failed)}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures a commit with asv.")
    add = parser.add_argument
    add("revision", nargs="?", default="HEAD", help="the commit [default: HEAD]")
    add("--bench", action="append", help="a regular expression: only these benchmarks; repeatable")
    add("--selection", choices=("all", "history"), default="all", help="[default: all]")
    add("--quick", action="store_true", help="each benchmark once: to see whether they work")
    add("--rounds", type=int, default=2, help="processes for each benchmark of time [default: 2]")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: both [default: cpu]")
    add("--export", action="append", default=[], help="FORMAT[/PRECISION] to measure; repeatable")
    add("--machine", default=platform.node(), help="the name to file results under")
    add("--config", type=Path, default=CHECKOUT / "asv.conf.json", help="of asv")
    add("--results", type=Path, help="folder to add results to [default: that of --config]")
    add("--cache", type=Path, help="folder of installed commits")
    add("--installed", action="store_true", help="measure mlffd as it is installed; file it so")
    asked = parser.parse_args(arguments)
    if asked.rounds < 1:
        parser.error(f"--rounds: {asked.rounds}, expected 1 or more")
    if asked.bench and asked.selection != "all":
        parser.error("--bench and --selection: expected one of the two")
    if not asked.config.is_file():
        parser.error(f"--config: {asked.config}: no such file")
    asked.config = asked.config.resolve()
    return asked


def _require(device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise MissingDeviceError("--device cuda: torch finds none on this machine")


def _require_measured(counted: Tally, device: str) -> None:
    if not counted.measured and not counted.failed:
        raise NothingMeasuredError(f"all {counted.skipped} benchmarks were skipped")
    if device == "cuda" and not counted.on_gpu:
        raise NothingMeasuredError("no benchmark ran on the GPU")


def _variables(root: Path, packages: Path | None) -> dict[str, str]:
    """What tells the benchmarks which revision is measured. asv strips PYTHONPATH."""
    variables = {"MLFFD_MEASURED_ROOT": str(root)}
    if packages is not None:
        variables |= {"MLFFD_MEASURED_PACKAGES": str(packages), "ASV_PYTHONPATH": str(packages)}
    return variables


def _export(wanted: list[str], root: Path, folder: Path, variables: Mapping[str, str]) -> None:
    """Export every student with the revision's own command.

    Raises:
        BuildError: it cannot; measuring less than was asked for would go unnoticed.
    """
    from mlffd.config import load_settings

    path = {"PYTHONPATH": variables.get("ASV_PYTHONPATH", "")}
    folder.mkdir()
    for student in load_settings(root / "mlffd.toml").students:
        for entry in wanted:
            name, _, precision = entry.partition("/")
            command = [sys.executable, "-m", "mlffd", "export", student, "--format", name]
            options = ["--precision", precision or "fp32", "-o", str(folder)]
            done = subprocess.run(
                [*command, *options, "--config", str(root / "mlffd.toml")],
                env={**variables, **path},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                said = (done.stderr.strip().splitlines() or ["for no reason given"])[-1]
                raise BuildError(f"{student} cannot be exported as {entry}: {said}")


def _run_asv(
    asked: argparse.Namespace, commit: str, folder: Path, variables: Mapping[str, str]
) -> Path:
    """The file with what asv measured, in a folder of this run's own."""
    results = folder / "results"
    (folder / "asv.conf.json").write_text(
        json.dumps(_config(asked.config, commit, results)), encoding="utf-8"
    )
    _name_machine(asked.machine)
    # A forked process cannot use a GPU that its parent has touched; a new one costs seconds.
    launch = "spawn" if asked.device == "cuda" else "forkserver"
    command = [sys.executable, "-m", "asv", "run", "--config", str(folder / "asv.conf.json")]
    command += ["--machine", asked.machine, "--set-commit-hash", commit, "--launch-method", launch]
    command += ["--environment", f"existing:{sys.executable}", "--record-samples"]
    command += ["--attribute", f"rounds={asked.rounds}"]
    command += ["--show-stderr"] + ["--quick"] * asked.quick
    for expression in _selected(asked):
        command += ["--bench", expression]
    subprocess.run(command, env=dict(variables), stdout=sys.stderr, cwd=folder, check=False)
    if not (results / "benchmarks.json").exists():
        raise BuildError(f"{commit[:12]}: the benchmarks cannot be imported: see above")
    found = list((results / asked.machine).glob(f"{commit[:8]}-*.json"))
    if not found:
        raise NothingMeasuredError(f"no benchmark is called like {asked.bench}")
    return found[0]


def _selected(asked: argparse.Namespace) -> list[str]:
    """Regular expressions of what to run, as asv takes them."""
    wanted = asked.bench or (HISTORY if asked.selection == "history" else ("",))
    if asked.device == "cuda":
        return list(wanted)
    # Else each would be started in a process of its own, only to be skipped.
    return [f"^(?!.*'cuda')(?=.*?(?:{expression}))" for expression in wanted]


def _config(path: Path, commit: str, results: Path) -> dict[str, Any]:
    """The settings, for one commit: asv wants the branches to exist, and writes where it is told.

    Raises:
        InputError: they are not what asv reads.
    """
    config = _read(path)
    here = {key: str(path.parent / config[key]) for key in ("repo", "benchmark_dir")}
    return {**config, **here, "branches": [commit], "results_dir": str(results)}


def _results(path: Path) -> Path:
    return path.parent / str(_read(path)["results_dir"])


def _read(path: Path) -> dict[str, Any]:
    from asv.util import UserError, load_json

    try:
        config: dict[str, Any] = load_json(path, js_comments=True)
    except UserError as error:
        raise InputError(f"{path}: {error}") from error
    if missing := {"repo", "benchmark_dir", "results_dir"} - config.keys():
        raise InputError(f"{path}: expected {', '.join(sorted(missing))}")
    return config


def _name_machine(name: str) -> None:
    """Describe this machine where asv looks, and never asks.

    Each value tells one history from another: so the kernel's version is no part of them.
    """
    from asv.machine import Machine, MachineCollection

    described = {**Machine.get_defaults(), "machine": name, "os": platform.system()}
    MachineCollection.save(name, described)


if __name__ == "__main__":
    try:
        main()
    except MlffdError as error:
        sys.stderr.write(f"run: error: {error}\n")
        sys.exit(error.exit_code)
