"""What `git bisect run` starts for each commit: is it slower than the good one?"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mlffd.errors import BuildError, InputError, NothingMeasuredError
from mlffd.files import write_text_atomically
from mlffd.verdicts import EXIT_CODES, Verdict

#: To `git bisect run`: the commit cannot be judged, take another; and: stop.
_SKIP, _STOP = 125, 255

#: Of the comparison: this commit cannot be judged, another one may be. Settings are those of the
#: commit, so bad input, too: they need not name the benchmark.
_UNTESTABLE = (
    EXIT_CODES[Verdict.INCONCLUSIVE],
    InputError.exit_code,
    BuildError.exit_code,
    NothingMeasuredError.exit_code,
)


@dataclass(frozen=True)
class Trial:
    """What a comparison said about a commit.

    Attributes:
        commit: its full name.
        exit_code: of the comparison; of a verdict on the benchmark alone where there is one.
        ratio: to the good commit; None if it was not measured.
        interval: 95%, of the ratio.
        message: why, in a line.
    """

    commit: str
    exit_code: int
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    message: str = ""

    @property
    def for_git(self) -> int:
        """The exit code that `git bisect run` understands."""
        if self.exit_code in (EXIT_CODES[Verdict.PASS], EXIT_CODES[Verdict.FAIL]):
            return self.exit_code
        return _SKIP if self.exit_code in _UNTESTABLE else _STOP

    @property
    def ends_it(self) -> bool:
        """Whether it would be the same for every other commit."""
        return self.for_git == _STOP


@dataclass(frozen=True)
class Plan:
    """How commits are judged.

    Attributes:
        command: starts the comparison, without its options.
        repository: where to run it.
        good: full name of the commit that is not slow.
        benchmark: the only one to compare.
        results: a folder for what the comparisons write.
    """

    command: tuple[str, ...]
    repository: str
    good: str
    benchmark: str
    results: str

    def write(self, path: Path) -> None:
        """Write it for the processes that `git bisect run` starts."""
        write_text_atomically(path, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` has written."""
        plan = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**plan, "command": tuple(plan["command"])})

    def try_commit(self, commit: str) -> Trial:
        """Compare a commit with the good one; kept in the results, too."""
        figures = Path(self.results) / f"{commit}.ab.json"
        asked = ["--base", self.good, "--head", commit, "--only", self.benchmark]
        # Git tells its children about the clone that it bisects in: the comparison has its own.
        variables = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        done = subprocess.run(
            [*self.command, *asked, "--json", str(figures)],
            cwd=self.repository,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        trial = _trial(commit, self.benchmark, done, figures)
        path = Path(self.results) / f"{commit}.json"
        write_text_atomically(path, json.dumps(asdict(trial)))
        return trial

    def trials(self) -> list[Trial]:
        """Everything that was tried, in no order."""
        paths = (p for p in Path(self.results).glob("*.json") if not p.name.endswith(".ab.json"))
        documents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        return [
            Trial(**{**d, "interval": d["interval"] and tuple(d["interval"])}) for d in documents
        ]


def _trial(
    commit: str, benchmark: str, done: subprocess.CompletedProcess[str], figures: Path
) -> Trial:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    message = lines[-1].removeprefix("mlffd: error: ") if lines else ""
    finding = _finding(figures, benchmark)
    if finding is None:
        # A verdict without figures is none.
        verdict = done.returncode in (EXIT_CODES[Verdict.PASS], EXIT_CODES[Verdict.FAIL])
        code = NothingMeasuredError.exit_code if verdict else done.returncode
        return Trial(commit, code, message=message)
    # The comparison may also have failed for its accuracy, or warn only of what is slower.
    code = EXIT_CODES[Verdict(finding["verdict"])]
    if (head := finding["head"]) is None:
        return Trial(commit, code, message=finding["message"])
    return Trial(commit, code, head["ratio"], tuple(head["interval"]), finding["message"])


def _finding(figures: Path, benchmark: str) -> dict[str, Any] | None:
    if not figures.exists():
        return None
    document = json.loads(figures.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = document["findings"]
    return next((finding for finding in found if finding["workload"] == benchmark), None)


def main(arguments: Sequence[str]) -> int:
    """Judge the commit that git bisect is at; the exit code for it."""
    try:
        plan = Plan.read(Path(arguments[0]))
        at = subprocess.run(
            ["git", "rev-parse", "BISECT_HEAD"], capture_output=True, text=True, check=True
        )
        return plan.try_commit(at.stdout.strip()).for_git
    except Exception:  # exit code 1, Python's own, would say that the commit is slow
        traceback.print_exc()
        return _STOP


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
