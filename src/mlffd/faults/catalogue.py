"""The catalogue: faults by name, what they imitate, and the checks that must catch them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import cleandoc

from mlffd.checks.registry import all_checks
from mlffd.checks.subjects import Subject
from mlffd.faults.healthy import Healthy
from mlffd.faults.slowing import Slowed

#: One module each; the order is that of reports.
CONCERNS = (
    "files",
    "weights",
    "units",
    "symmetry",
    "architecture",
    "neighbours",
    "goldens",
    "data",
    "exports",
    "runtimes",
    "speed",
)

#: What the paired gate of `mlffd perf ab` is called here: it is no check, for it needs a clock.
THROUGHPUT = "throughput"

Planted = Subject | Slowed
#: Takes what is healthy and, of a fault that has sizes, a size.
Plant = Callable[..., Iterator[Planted]]


@dataclass(frozen=True)
class Fault:
    """A regression that can be planted in a healthy subject.

    Attributes:
        name: of the function that plants it.
        concern: one of `CONCERNS`, the module that it is in.
        summary: what is wrong, in a sentence.
        imitates: how it comes about in practice.
        seen_in: where it was reported, as ``owner/repository#issue``; empty if nowhere known.
        caught_by: names of the checks that must fail, each of them.
        refused_by: checks that must be invalid: there is nothing to compare with any more.
        sizes: from small to large; where there is only one way to be wrong, 1.
        unit: of sizes.
        limit: the least size from which on the checks must fail.
        plant: a context with the subject that has the fault.
    """

    name: str
    concern: str
    summary: str
    imitates: str
    seen_in: str
    caught_by: tuple[str, ...]
    refused_by: tuple[str, ...]
    sizes: tuple[float, ...]
    unit: str
    limit: float
    plant: Callable[[Healthy, float], AbstractContextManager[Planted]]

    @property
    def is_timed(self) -> bool:
        """Whether only a clock can tell: nothing else may run beside it."""
        return THROUGHPUT in self.caught_by


_FAULTS: dict[str, Fault] = {}


def fault(
    *,
    caught_by: Sequence[str] = (),
    refused_by: Sequence[str] = (),
    sizes: Sequence[float] = (),
    unit: str = "",
    limit: float | None = None,
    seen_in: str = "",
) -> Callable[[Plant], Plant]:
    """Function decorator: add a fault to the catalogue.

    The function takes what is healthy and, if there are sizes, one of them. It plants the fault,
    yields the subject that has it, and then undoes what it did to anything else. Its docstring says
    in the first line what is wrong, and then how that comes about.

    Args:
        caught_by: see `Fault`.
        refused_by: see `Fault`.
        sizes: see `Fault`; none: there is only one way to be wrong.
        unit: see `Fault`.
        limit: see `Fault`; None: the least of the sizes.
        seen_in: see `Fault`.
    """

    def add(function: Plant) -> Plant:
        name = function.__name__
        summary, _, imitates = cleandoc(function.__doc__ or "").partition("\n\n")
        ordered = tuple(sizes) or (1.0,)
        least = ordered[0] if limit is None else limit
        manager = contextmanager(function)
        if name in _FAULTS:
            raise ValueError(f"fault {name!r} is in the catalogue twice")
        if not summary or not imitates:
            raise ValueError(f"fault {name!r} does not say what is wrong, and what it imitates")
        if not caught_by and not refused_by:
            raise ValueError(f"fault {name!r} is caught by no check")
        if ordered != tuple(sorted(ordered)) or least not in ordered:
            raise ValueError(f"fault {name!r}: its limit is not one of its sizes in order")
        _FAULTS[name] = Fault(
            name=name,
            concern=function.__module__.rpartition(".")[2],
            summary=" ".join(summary.split()),
            imitates=" ".join(imitates.split()),
            seen_in=seen_in,
            caught_by=tuple(caught_by),
            refused_by=tuple(refused_by),
            sizes=ordered,
            unit=unit,
            limit=least,
            plant=manager if sizes else lambda healthy, _: manager(healthy),
        )
        return function

    return add


def all_faults() -> tuple[Fault, ...]:
    """Every fault, by concern.

    Raises:
        ValueError: one names a check that does not exist.
    """
    for concern in CONCERNS:
        import_module(f"mlffd.faults.{concern}")
    known = {check.name for check in all_checks()} | {THROUGHPUT}
    for planted in _FAULTS.values():
        if unknown := {*planted.caught_by, *planted.refused_by} - known:
            raise ValueError(f"fault {planted.name!r}: there is no check {sorted(unknown)}")
    return tuple(sorted(_FAULTS.values(), key=lambda f: CONCERNS.index(f.concern)))
