"""A repository with a made-up history of speed and accuracy, known to the last digit."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

MACHINE = "workbench"
STUDENTS = ("original", "tiny", "ultra_tiny")
BATCHES = (1, 2, 4, 8, 16, 32, 128, 512)
SYSTEMS = (*(f"batch{n}" for n in BATCHES), "atoms187")
BENCHMARK = "inference.EagerPerStructure.time_energy_and_forces"
NEVER_MEASURED = "memory.Cuda.track_peak"

#: Of the commit that made `tiny` slower, from zero.
SLOWER = 12
#: Of the one after which `ultra_tiny` is less accurate.
WORSE = 17
COMMITS = 22

#: Text that would end a script, a title or a table cell, if it were not taken for text.
HOSTILE = """</script><img src=x onerror="document.title='owned'"> & <b>"""


@dataclass(frozen=True)
class Measured:
    """A repository and what is stored in it.

    Attributes:
        folder: of the repository.
        commits: full names, the oldest first.
    """

    folder: Path
    commits: tuple[str, ...]

    @property
    def configuration(self) -> Path:
        return self.folder / "asv.conf.json"

    @property
    def ratios(self) -> Path:
        return self.folder / "asv_benchmarks" / "ratios"

    @property
    def results(self) -> Path:
        return self.folder / "asv_benchmarks" / "results"


def ratio(student: str, commit: int) -> float:
    """Seconds of a commit against the first one."""
    noise = 1 + 0.004 * ((commit * 7 + len(student)) % 5 - 2)
    return noise * (1.15 if student == "tiny" and commit >= SLOWER else 1.0)


def force_rmse(student: str, commit: int) -> float:
    """eV/Å."""
    error = {"original": 0.043, "tiny": 0.071, "ultra_tiny": 0.128}[student]
    return error * (1.08 if student == "ultra_tiny" and commit >= WORSE else 1.0)


def seconds(student: str, system: str, commit: int) -> float:
    """Per structure; less in larger batches."""
    cost = {"original": 2.0e-3, "tiny": 7.0e-4, "ultra_tiny": 3.0e-4}[student]
    structures = int(system.removeprefix("batch")) if system.startswith("batch") else 1
    return ratio(student, commit) * (cost + 4e-3 / structures)


def make_measured(folder: Path, *, commits: int = COMMITS) -> Measured:
    """A repository with commits, without any result."""
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    for index in range(commits):
        subject = HOSTILE if index == SLOWER else f"Change number {index}"
        date = f"2026-01-{index + 1:02d}T12:00:00+00:00"
        _git(folder, "commit", "--quiet", "--allow-empty", "-m", subject, date=date)
    names = _git(folder, "rev-list", "--reverse", "HEAD").split()
    configuration = {
        "version": 1,
        "project": "made up",
        "repo": ".",
        "dvcs": "git",
        "branches": ["main"],
        "show_commit_url": "https://example.org/commit/",
        "results_dir": "asv_benchmarks/results",
        "html_dir": ".asv/html",
    }
    (folder / "asv.conf.json").write_text(json.dumps(configuration))
    return Measured(folder, tuple(names))


def store_ratios(measured: Measured) -> None:
    """Store what the history gate reads, of every commit."""
    for index, commit in enumerate(measured.commits):
        document = {
            "format_version": 1,
            "commit": commit,
            "date": f"2026-01-{index + 1:02d}T12:00:00+00:00",
            "subject": HOSTILE if index == SLOWER else f"Change number {index}",
            "reference": measured.commits[0],
            "machine": {"processor": "made-up processor", "threads": "1"},
            "benchmarks": {
                f"{student}/eager/fp32/cpu/{system}": {
                    "ratio": ratio(student, index),
                    "low": ratio(student, index) * 0.99,
                    "high": ratio(student, index) * 1.01,
                    "launches": 4,
                }
                for student in STUDENTS
                for system in ("batch1", "batch32", "batch512")
            },
            "counters": {"tiny/eager/fp32/cpu/batch32": {"operators": 400}},
            "accuracy": {
                student: {
                    "force_rmse": force_rmse(student, index),
                    "energy_rmse": force_rmse(student, index) / 20,
                }
                for student in STUDENTS
            },
        }
        _write(measured.ratios / MACHINE / f"{commit[:12]}.json", document)


def store_asv_results(measured: Measured) -> None:
    """Store what asv would have, of every commit."""
    params = [[repr(name) for name in group] for group in (STUDENTS, SYSTEMS, ("cpu", "cuda"))]
    benchmark = {
        "code": "",
        "name": BENCHMARK,
        "param_names": ["student", "system", "device"],
        "params": params,
        "timeout": 60.0,
        "type": "time",
        "unit": "seconds",
        "version": "1",
    }
    # asv lists what was never measured, too, and its pages would ask for it.
    never = {**benchmark, "name": NEVER_MEASURED, "param_names": [], "params": []}
    listed = {BENCHMARK: benchmark, NEVER_MEASURED: never, "version": 2}
    _write(measured.results / "benchmarks.json", listed)
    machine = {"arch": "x86_64", "cpu": "made up", "machine": MACHINE, "num_cpu": "2"}
    machine |= {"os": "Linux", "ram": "8589934592"}
    _write(measured.results / MACHINE / "machine.json", {**machine, "version": 1})
    for index, commit in enumerate(measured.commits):
        # There is no GPU: asv stores null for what was skipped.
        values = [
            seconds(student, system, index) if device == "cpu" else None
            for student in STUDENTS
            for system in SYSTEMS
            for device in ("cpu", "cuda")
        ]
        document = {
            "commit_hash": commit,
            "env_name": "existing",
            "date": 1767268800000 + index * 86400000,
            "params": {**machine, "python": "3.11"},
            "python": "3.11",
            "requirements": {},
            "env_vars": {},
            "result_columns": ["result", "params", "version"],
            "results": {BENCHMARK: [values, params, "1"]},
            "durations": {},
            "version": 2,
        }
        _write(measured.results / MACHINE / f"{commit[:8]}-existing.json", document)


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def _git(folder: Path, *arguments: str, date: str = "2026-01-01T12:00:00+00:00") -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_COMMITTER_DATE": date,
            "GIT_AUTHOR_DATE": date,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
