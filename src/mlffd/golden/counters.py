"""What a student costs, in counts, against what it did when they were accepted.

Counts repeat exactly, so there is no tolerance: more is a regression however little, and less is a
change that somebody should know of, so that it cannot be lost again unseen. They are the dispatched
operators of one release of PyTorch, and cannot be compared with those of another one.
"""

from collections.abc import Mapping
from typing import NamedTuple

Counters = Mapping[str, Mapping[str, int]]


class Difference(NamedTuple):
    """One counter that is not what it was.

    Attributes:
        place: what was counted on.
        counter: its name.
        before: None: it was not counted.
        after: None: it was not counted.
    """

    place: str
    counter: str
    before: int | None
    after: int | None

    def __str__(self) -> str:
        before, after = ("none" if n is None else f"{n:,}" for n in (self.before, self.after))
        by = ""
        if self.before is not None and self.after is not None:
            by = f" ({self.after - self.before:+,})"
        return f"{self.place}: {self.counter}: {before} -> {after}{by}"


def differences(before: Counters, after: Counters) -> list[Difference]:
    """Every counter that is not the same in both, by place and name.

    Where a place has no counter at all in one of them, their number stands for all.
    """
    found = []
    for place in sorted({*before, *after}):
        old, new = before.get(place, {}), after.get(place, {})
        if bool(old) != bool(new):
            found.append(Difference(place, "counters", len(old) or None, len(new) or None))
            continue
        found += [
            Difference(place, name, old.get(name), new.get(name))
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    return found
