"""Mutants of a module: one change each, and the code that is left alone."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from operators import OPERATORS, parents_of, words_of
from parso.python.tree import PythonNode


@dataclass(frozen=True)
class Mutant:
    """One change of one module.

    Attributes:
        path: of the module.
        operator: its name.
        line: where the change is, from 1.
        before: the line.
        after: what it becomes.
        source: of the whole module with the change.
        number: from 1, among changes of the same kind to lines that read the same.
        body: first and last line of the body of the innermost function around it; None: it is
            executed when the module is imported.
    """

    path: Path
    operator: str
    line: int
    before: str
    after: str
    source: str
    number: int
    body: tuple[int, int] | None

    @property
    def key(self) -> str:
        """Names the mutant as long as neither the line nor what comes of it changes."""
        which = "" if self.number == 1 else f" ({self.number})"
        return f"{self.path.as_posix()}: {self.before} -> {self.after}{which}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module, but those of what is left alone: see `_is_left_alone`."""
    source = path.read_text(encoding="utf-8")
    nodes = list(ast_nodes(get_ast(source)))
    alike: Counter[tuple[str, str]] = Counter()
    for name, operator in OPERATORS.items():
        found = ((node, place) for node in nodes for place in operator.mutation_positions(node))
        for occurrence, (node, (start, _)) in enumerate(found):
            if _is_left_alone(node, name):
                continue
            changed = mutate_code(source, operator, occurrence)
            assert changed is not None
            if _compiles(changed):  # two stars that unpack a mapping are taken for a power
                lines = _difference(source, changed)
                alike[lines] += 1
                body = _body(node, start)
                yield Mutant(path, name, start[0], *lines, changed, alike[lines], body)


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _is_left_alone(node: Any, operator: str) -> bool:  # noqa: ANN401
    """Text for people (f-strings), types, what dataclasses are told, and that zip is strict."""
    parents = list(parents_of(node))
    kinds = {parent.type for parent in parents}
    if "fstring" in kinds or parents[0].type == "parameters":  # a star by itself is no product
        return True
    for parent in [node, *parents]:
        if parent.type == "decorator" and parent.get_code().lstrip().startswith("@dataclass"):
            return True
        if parent.type == "argument" and words_of(parent) == "strict=True":
            return True
    return operator.startswith("ReplaceBinaryOperator_BitOr") and any(map(_is_type, parents))


def _is_type(node: Any) -> bool:  # noqa: ANN401
    around = node.parent
    if around is None:
        return False
    if around.type in ("annassign", "tfpdef"):  # `: type = value`, `name: type`
        return around.children.index(node) == (1 if around.type == "annassign" else 2)
    return around.type == "funcdef" and around.annotation is node


def _body(node: Any, start: tuple[int, int]) -> tuple[int, int] | None:  # noqa: ANN401
    for around in parents_of(node):
        if around.type == "funcdef":
            suite: PythonNode = around.children[-1]
            if start >= suite.start_pos:
                return suite.start_pos[0], suite.end_pos[0]
    return None


def _difference(source: str, changed: str) -> tuple[str, str]:
    """The lines that differ, each in one line."""
    old, new = source.splitlines(), changed.splitlines()
    first = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    same = next(
        i for i, (a, b) in enumerate(zip(reversed(old), reversed(new), strict=False)) if a != b
    )
    join = partial(map, str.strip)
    before, after = old[first : max(first + 1, len(old) - same)], new[first : len(new) - same]
    return " ".join(join(before)), " ".join(join(after))
