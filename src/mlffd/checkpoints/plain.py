"""Plain values: what a config or a provenance record may hold, and how untrusted names are shown.

A pickle of a few hundred bytes can hold a list that holds a list twice, and so on: printing it
takes longer than the universe has. So values from a file are counted before anything walks them.
"""

import math

from mlffd.errors import InputError

#: Values in one record, counting each mention of a shared one.
MOST_VALUES = 10_000
#: Levels of nesting.
MOST_LEVELS = 20
#: Characters in one text.
LONGEST_TEXT = 100_000
#: Integers beyond 64 bits are not provenance, and printing a long one is an error in Python.
LARGEST_INTEGER = 2**63


def shown(name: object) -> str:
    """A name from an untrusted file, on one line, without control characters, and not long."""
    if not isinstance(name, str):
        return f"<{type(name).__name__}>"
    return repr(name) if len(name) <= 80 else repr(name[:77]) + "..."


def shown_list(names: list[str], most: int = 6) -> str:
    """Some of the names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more


def is_plain_scalar(value: object) -> bool:
    """Whether it is None, a bool, a text, a 64-bit integer or a finite float, and no subclass."""
    if value is None or type(value) is bool:
        return True
    if type(value) is int:
        return abs(value) < LARGEST_INTEGER
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is str and len(value) <= LONGEST_TEXT


def require_plain(value: object, where: str) -> None:
    """Check that a value is made of plain scalars, lists, and dicts with text keys only.

    Args:
        value: what to check.
        where: file and key, for the message.

    Raises:
        InputError: something else is in it, or it is too large or too deep.
    """
    count = 0
    pending: list[tuple[object, str, int]] = [(value, where, 0)]
    while pending:
        item, name, level = pending.pop()
        count += 1
        if count > MOST_VALUES or level > MOST_LEVELS:
            raise InputError(
                f"{where}: too large, expected at most {MOST_VALUES} values"
                f" nested at most {MOST_LEVELS} deep"
            )
        if type(item) is list:
            if len(item) > MOST_VALUES:  # before a copy of it is queued
                raise InputError(f"{where}: too large, expected at most {MOST_VALUES} values")
            pending.extend((entry, f"{name}[{i}]", level + 1) for i, entry in enumerate(item))
        elif type(item) is dict:
            if len(item) > MOST_VALUES:
                raise InputError(f"{where}: too large, expected at most {MOST_VALUES} values")
            for key, entry in item.items():
                if type(key) is not str:
                    raise InputError(f"{name}: a key is {shown(key)}, expected texts as keys")
                pending.append((entry, f"{name}[{shown(key)}]", level + 1))
        elif not is_plain_scalar(item):
            raise InputError(
                f"{name}: is {_kind(item)}, expected a text, a 64-bit integer, a finite number,"
                " true or false, None, or lists and dicts of these"
            )


def _kind(item: object) -> str:
    if type(item) is float:
        return str(item)  # nan or inf
    return f"a {type(item).__name__}" + (" out of range" if type(item) in (int, str) else "")
