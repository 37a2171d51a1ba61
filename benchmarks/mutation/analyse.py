"""What the mutants say of the tests: scores by module, and every survivor with what excuses it.

Reads what `collect.py` decided, and `justified.toml`: survivors that are no gap of the tests, each
with the reason. A survivor that nothing excuses is listed as open; an excuse of a mutant that is
killed, or no longer there, is an error. Excuses do not improve the score. From the root of the
project, after `collect.py`:

    python benchmarks/mutation/analyse.py checks golden mutants.jsonl -o PAGE
"""

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from collect import TESTED_BY, records_of
from mutants import mutants_of
from tests_of import SOURCES, digest

from mlffd.environment import describe_commit, now
from mlffd.errors import InputError, MlffdError
from mlffd.files import write_text_atomically
from mlffd.report.markdown import code, table

_REQUIRED = 0.85
JUSTIFIED = Path(__file__).with_name("justified.toml")

#: A record of one mutant, as `collect.py` writes it.
Record = Mapping[str, Any]

PAGE = """\
# Mutation testing

A test suite that cannot fail proves nothing, and neither does a limit that nothing reaches. So the
code that judges students is itself broken on purpose, one small change at a time, and the unit
tests have to notice: a limit doubled or halved, `<=` for `<`, a minus sign lost, `any` for `all`,
a condition turned around, an error that is not raised, an atom more or less. A change that no test
notices is a bug that could be there unseen.

{scores}

The score is the share of mutants that a unit test of the same package kills, for checks and goldens
of either; what is excused below counts as a survivor. {required}

## How

[cosmic-ray](https://cosmic-ray.readthedocs.io) {version} plants the changes. Of its replacements of
one operator by every other, those are used that somebody could have written by mistake; numbers
with a point are doubled and halved, others are one more and one less; and there are operators for
errors that are not raised, calls that are left out, `in`, `max` and `min`, filters of
comprehensions and exceptions that are caught. `benchmarks/mutation/operators.py` has all of them.

Left alone are text for people (what is in f-strings), docstrings and other strings, annotations of
types, what a dataclass is told about itself, and `strict=True` of `zip`, which asserts what its
arguments have anyway.

mutmut was tried first. It changes neither functions with a decorator, which is every check, nor
constants of modules, which is most limits.

A mutant runs the tests that reach the changed function, in a process that is forked with everything
imported but the package that is changed; the constant of a module runs those that reach the module
or one that imports it, and those in files that import it. The end-to-end faults of `tests/faults`,
which take seconds each, are not used.

## Modules

{modules}

## Survivors

{survivors}

Made {date} from commit {commit} by:

```bash
{command}
```
"""


def scores_by(records: Sequence[Record], key: str) -> dict[str, tuple[int, int]]:
    """How many mutants there are and how many are killed, by some part of the records, in order."""
    scores = {}
    for name in sorted({record[key] for record in records}):
        chosen = [record["outcome"] for record in records if record[key] == name]
        scores[name] = len(chosen), chosen.count("killed")
    return scores


def table_of(records: Sequence[Record], key: str) -> str:
    """Scores by some part of the records, in Markdown."""
    rows = [
        [code(name), str(mutants), str(killed), f"{killed / mutants:.1%}"]
        for name, (mutants, killed) in scores_by(records, key).items()
    ]
    return table([key, "mutants", "killed", "score"], rows)


def reasons_of(path: Path, survivors: Sequence[Record]) -> dict[str, str]:
    """Why survivors are no gap, by key.

    Raises:
        InputError: something is excused that did not survive, or twice.
    """
    reasons: dict[str, str] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["justified"]:
        for key in entry["mutants"]:
            if key in reasons:
                raise InputError(f"{path}: justified twice: {key}")
            reasons[key] = entry["reason"].strip()
    if stale := sorted(reasons.keys() - {name_of(record) for record in survivors}):
        raise InputError(f"{path}: no survivors: " + "; ".join(stale))
    return reasons


def name_of(record: Record) -> str:
    """Names a mutant in `justified.toml`."""
    name: str = record["key"].removeprefix(f"{SOURCES.as_posix()}/")
    return name


def survivors_text(survivors: Sequence[Record], reasons: Mapping[str, str]) -> str:
    """The survivors under their reasons, those that nothing excuses first."""
    by_reason: dict[str, list[Record]] = {}
    for record in survivors:
        by_reason.setdefault(reasons.get(name_of(record), ""), []).append(record)
    unexplained = len(by_reason.get("", ()))
    parts = [f"{len(survivors)} survived. For {unexplained or 'none'} of them a test is missing."]
    for reason in sorted(by_reason, key=lambda text: (text != "", -len(by_reason[text]), text)):
        lines = [
            f"- {code(record['module'])}, line {record['line']}: {_in_a_list(record['before'])} "
            f"becomes {_in_a_list(record['after'])}"
            for record in by_reason[reason]
        ]
        parts += [f"### {reason.partition(': ')[0] if reason else 'Open'}"]
        if reason:
            parts.append(reason.partition(": ")[2])
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _in_a_list(text: str) -> str:
    """As code; only in tables a bar would end a cell."""
    return code(text).replace("\\|", "|")


def decided(packages: Sequence[str], path: Path) -> list[Record]:
    """The record of every mutant of the sources as they are.

    Raises:
        InputError: one is missing, or is of other sources.
    """
    known = records_of(path)
    records = []
    for package in packages:
        for module in sorted((SOURCES / package).glob("*.py")):
            for mutant in () if module.name == "__init__.py" else mutants_of(module):
                record = known.get(mutant.key)
                if record is None or record["source"] != digest(mutant.source.encode()):
                    raise InputError(f"{path}: not decided, run collect.py: {mutant.key}")
                records.append({**record, "line": mutant.line, "package": package})
    return records


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description="Scores and survivors of mutation testing.")
    parser.add_argument("packages", nargs="+", choices=TESTED_BY)
    parser.add_argument("data", type=Path, help="the file that collect.py wrote")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the page to write")
    asked = parser.parse_args()
    records = decided(asked.packages, asked.data)
    survivors = [record for record in records if record["outcome"] == "survived"]
    packages = " ".join(asked.packages)
    text = PAGE.format(
        scores=table_of(records, "package"),
        required=f"In each package at least {_REQUIRED:.0%} have to be killed.",
        version=version("cosmic-ray"),
        modules=table_of(records, "module"),
        survivors=survivors_text(survivors, reasons_of(JUSTIFIED, survivors)),
        date=now()[:10],
        commit=str(describe_commit(Path())["commit"])[:12],
        command=(
            f"OMP_NUM_THREADS=1 python benchmarks/mutation/collect.py {packages} --jobs 2 "
            f"-o {asked.data.name}\n"
            f"python benchmarks/mutation/analyse.py {packages} {asked.data.name} \\\n"
            f"    -o {asked.output}"
        ),
    )
    write_text_atomically(asked.output, text)
    poor = [
        f"{killed} of {mutants} in {package}"
        for package, (mutants, killed) in scores_by(records, "package").items()
        if killed / mutants < _REQUIRED
    ]
    if poor:
        sys.exit(f"analyse: too few are killed, {_REQUIRED:.0%} are required: {', '.join(poor)}")


if __name__ == "__main__":
    try:
        main()
    except MlffdError as error:
        sys.exit(f"analyse: error: {error}")
