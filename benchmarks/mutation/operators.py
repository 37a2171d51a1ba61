"""The operators that plant mistakes: those of cosmic-ray that are used, and some of its kind.

Of its replacements of one operator by every other only those are used that a person could have
written by mistake, so that the score is not made of mutants that no test could miss. Its own for
numbers adds one, which says nothing of a tolerance: here a tolerance is doubled and halved.
"""

from ast import literal_eval
from collections.abc import Iterator
from typing import Any

from cosmic_ray.ast import get_ast
from cosmic_ray.operators.number_replacer import NumberReplacer
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.operators.provider import OperatorProvider
from parso.python.tree import Keyword, Name, Number

#: Names in `cosmic_ray`; the first part of each is what is replaced.
_CORE = (
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("ZeroIterationForLoop", "RemoveDecorator"),
    *(
        f"ReplaceComparisonOperator_{pair}"
        for pair in (
            *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt"),
            *("Lt_GtE", "LtE_Gt", "Gt_LtE", "GtE_Lt"),
            *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
        )
    ),
    *(
        f"ReplaceBinaryOperator_{pair}"
        for pair in (
            *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul"),
            *("BitOr_BitAnd", "BitAnd_BitOr"),
        )
    ),
    *(f"ReplaceUnaryOperator_Delete_{name}" for name in ("USub", "Not", "Invert")),
)

#: Functions that are easily taken for each other.
_OPPOSITES = {"max": "min", "min": "max", "all": "any", "any": "all"}


class IntegerReplacer(NumberReplacer):
    """One more and one less."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:  # noqa: ANN401 - parso has no types
        """Of integers only."""
        if isinstance(node, Number) and _is_integer(node):
            yield from super().mutation_positions(node)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """For the reader."""
        return Example("x = 1", "x = 2"), Example("x = 0x10", "x = 15", occurrence=1)


def _is_integer(node: Number) -> bool:
    return isinstance(literal_eval(node.value), int)


class FloatScaler(Operator):
    """Twice and half as much; one for zero."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:  # noqa: ANN401
        """Of every float."""
        if isinstance(node, Number) and not _is_integer(node):
            for _ in range(2 if float(node.value) else 1):
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ANN401
        """The other number."""
        value = float(node.value)
        changed = (2 * value, value / 2)[index] if value else 1.0
        return Number(f" {changed!r}", node.start_pos)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """For the reader."""
        return Example("x = 1e-5", "x = 2e-05"), Example("x = 1e-5", "x = 5e-06", occurrence=1)


class OppositeFunction(Operator):
    """The smallest for the largest, one of them for all."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:  # noqa: ANN401
        """Of every call and every method of that name."""
        if isinstance(node, Name) and node.value in _OPPOSITES:
            following = node.get_next_sibling() or node.parent.get_next_sibling()
            if following is not None and following.type == "trailer":
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ANN401, ARG002
        """The other function."""
        node.value = _OPPOSITES[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """For the reader."""
        return Example("max(x)", "min(x)"), Example("x.any()", "x.all()")


class MembershipReplacer(Operator):
    """``not in`` for ``in`` and the other way round."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:  # noqa: ANN401
        """Of every comparison with one of them."""
        if node.type == "comparison" and words_of(node.children[1]) in ("in", "not in"):
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ANN401, ARG002
        """The other comparison."""
        other = "in" if words_of(node.children[1]) == "not in" else "not in"
        node.children[1] = Keyword(other, node.children[1].start_pos, prefix=" ")
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """For the reader."""
        return Example("a in b", "a not in b"), Example("a not in b", "a in b")


class ExceptionReplacer(Operator):
    """Another exception than the one that is caught; cosmic-ray's knows no dotted names."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:  # noqa: ANN401
        """Of every class that is caught, alone or among others."""
        if node.parent is None or node.type in ("operator", "keyword", "star_expr"):
            return
        kinds = [node.parent.type, *(parent.type for parent in parents_of(node.parent))]
        alone = kinds[0] == "except_clause" and node.parent.children[1] is node
        if (alone and node.type != "atom") or kinds[:3] == [
            "testlist_comp",
            "atom",
            "except_clause",
        ]:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ANN401, ARG002
        """A class that nothing here raises."""
        return Name("GeneratorExit", node.start_pos, prefix=node.get_first_leaf().prefix)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """For the reader."""
        before = "try: pass\nexcept OSError: pass"
        return (Example(before, "try: pass\nexcept GeneratorExit: pass"),)


class FilterNegator(Operator):
    """What a comprehension leaves out for what it keeps."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:  # noqa: ANN401
        """Of every condition of a comprehension."""
        if node.type == "comp_if":
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ANN401, ARG002
        """The other condition."""
        negated = get_ast(f"not ({node.children[1].get_code().strip()})").children[0]
        negated.get_first_leaf().prefix = " "
        node.children[1] = negated
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """For the reader."""
        return (Example("[a for a in b if c]", "[a for a in b if not (c)]"),)


class StatementRemover(Operator):
    """Nothing for an error that is raised and for a call whose result nobody takes."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:  # noqa: ANN401
        """Of every such statement."""
        if node.parent is not None and node.parent.type == "simple_stmt":
            calls = node.type == "atom_expr" and node.children[-1].type == "trailer"
            if node.type == "raise_stmt" or calls:
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ANN401, ARG002
        """A statement that does nothing."""
        return Keyword("pass", node.start_pos, prefix=node.get_first_leaf().prefix)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """For the reader."""
        return (Example("raise ValueError\n", "pass"), Example("f(x)\n", "pass"))


def parents_of(node: Any) -> Iterator[Any]:  # noqa: ANN401
    """Of a node, from the nearest outwards."""
    while (node := node.parent) is not None:
        yield node


def words_of(node: Any) -> str:  # noqa: ANN401
    """The code of a node in one line."""
    return " ".join(node.get_code().split())


OPERATORS: dict[str, Operator] = {
    **{name: OperatorProvider()[name]() for name in _CORE},
    **{
        kind.__name__: kind()
        for kind in (
            IntegerReplacer,
            FloatScaler,
            OppositeFunction,
            ExceptionReplacer,
            MembershipReplacer,
            FilterNegator,
            StatementRemover,
        )
    },
}
