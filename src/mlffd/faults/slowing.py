"""Slower code as a subject: a copy of this package with something changed in its source."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import mlffd
from mlffd.faults.healthy import Healthy
from mlffd.performance.paired_gate import Finding, gate
from mlffd.performance.revisions import Built
from mlffd.performance.taking_turns import Turns
from mlffd.performance.workers import WorkerError
from mlffd.performance_settings import PerformanceSettings, TierSettings


@dataclass(frozen=True)
class Slowed:
    """A head that is slower than its base, for `mlffd perf ab`.

    Attributes:
        base: this package.
        head: this package, changed.
        workload: that is slower.
    """

    base: Built
    head: Built
    workload: str

    def judge(self) -> Finding:
        """What the paired gate finds, by its own rules and with real processes.

        Raises:
            WorkerError: a process fails.
        """
        settings = PerformanceSettings(tiers={"gate": TierSettings(workloads=(self.workload,))})
        (finding,) = gate(Turns(self.base, self.head), settings)
        return finding


def slowed(healthy: Healthy, workload: str, changes: Mapping[str, Callable[[str], str]]) -> Slowed:
    """Copy this package, and change the copy.

    Args:
        healthy: whose student is run.
        workload: what of it, without the student's name.
        changes: from the text of a module to that of the changed one, by path in the package.

    Raises:
        WorkerError: a change changes nothing.
    """
    assert healthy.settings.source is not None
    package = Path(mlffd.__file__).parent
    folder = healthy.path("")
    ignored = shutil.ignore_patterns("__pycache__")
    base = Built("base", healthy.settings.source.parent, folder / "base")
    head = replace(base, commit="head", packages=folder / "head")
    for built in (base, head):
        assert built.packages is not None
        shutil.copytree(package, built.packages / package.name, ignore=ignored)
    for name, change in changes.items():
        path = folder / "head" / package.name / name
        before = path.read_text(encoding="utf-8")
        after = change(before)
        if after == before:
            raise WorkerError(f"{name}: nothing to change is found in it")
        path.write_text(after, encoding="utf-8")
    return Slowed(base, head, f"{healthy.name}/{workload}")
