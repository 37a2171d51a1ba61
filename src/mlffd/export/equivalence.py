"""How far a way to run a student is from the student itself in eager float64."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from mlffd.export.deviations import (
    INFINITE,
    Answer,
    ask,
    described,
    deviation,
    difference,
    exceeding,
    worst,
)
from mlffd.export.manifest import Deviation
from mlffd.export.probe_cases import ProbeCase, probe_cases, probed_elements
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import Potential, collate_for
from mlffd.structures.batch import Batch
from mlffd.students import Student

_ROUNDS = 2


@dataclass(frozen=True)
class Outcome:
    """What came of evaluating something.

    Attributes:
        deviation: infinite if the potential raised an error.
        error: that it raised; None: it raised none.
    """

    deviation: Deviation
    error: str | None = None


@dataclass(frozen=True)
class Verification:
    """All that was measured of a potential.

    Attributes:
        cases: against the student in eager float64, by name of the case.
        repeated: the same case again, after others of other sizes: against the first time.
        concurrent: two threads at once, against one alone.
    """

    cases: Mapping[str, Outcome]
    repeated: Outcome
    concurrent: Outcome

    @property
    def measured(self) -> Deviation:
        """The worst of the cases, quantity by quantity."""
        return worst(outcome.deviation for outcome in self.cases.values())

    def problems(self, tolerance: Deviation) -> list[str]:
        """What does not hold, a sentence each; none: the potential is the student."""
        outcomes = {
            **self.cases,
            "evaluated again": self.repeated,
            "two threads at once": self.concurrent,
        }
        return [
            f"{name}: {outcome.error or described(over)}"
            for name, outcome in outcomes.items()
            if (over := exceeding(outcome.deviation, tolerance))
        ]


def verify(
    potential: Potential, student: Student, *, elements: frozenset[int] | None = None
) -> Verification:
    """Measure a potential on every case.

    Args:
        potential: to judge.
        student: that it is to be; is copied, and evaluated in float64 on the CPU.
        elements: that the student was trained on; None: as far as its weights tell.

    Raises:
        InputError: not one element was trained.
    """
    if elements is None:
        elements = type(student).trained_elements(student.state_dict())
    cases = cases_for(student, elements, periodic=potential.honours_cells)
    outcomes = compare(potential, EagerPotential(student), cases)
    usual = [case for case in cases if case.usual]
    return Verification(outcomes, repeated(potential, usual), concurrent(potential, usual))


def cases_for(
    student: Student, elements: frozenset[int] | None, *, periodic: bool
) -> tuple[ProbeCase, ...]:
    """The cases on which a student can be compared.

    Args:
        student: revision 1 knows no cells, and has no forces where a vector feature vanishes.
        elements: that it was trained on; None: nobody knows.
        periodic: whether the potential to compare takes cells.
    """
    return probe_cases(
        probed_elements(elements),
        periodic=periodic and student.honours_cells,
        symmetric=student.revision > 1,
    )


def compare(
    potential: Potential, reference: Potential, cases: Iterable[ProbeCase]
) -> dict[str, Outcome]:
    """How far a potential is from another on each case; an error is the outcome of its case."""
    return {case.name: _outcome(partial(deviation, potential, reference, case)) for case in cases}


def repeated(potential: Potential, cases: Sequence[ProbeCase]) -> Outcome:
    """Whether predictions depend on what was evaluated before: the same again, among others.

    Args:
        potential: to judge.
        cases: at least one; the largest and the smallest are evaluated in turns.
    """
    by_size = sorted(cases, key=lambda case: sum(map(len, case.structures)))
    small, large = (collate_for(potential, list(by_size[i].structures)) for i in (0, -1))

    def evaluate() -> Deviation:
        first = [ask(potential, batch) for batch in (large, small)]
        return worst(
            _apart(ask(potential, batch), expected, batch)
            for _ in range(_ROUNDS)
            for expected, batch in zip(first, (large, small), strict=True)
        )

    return _outcome(evaluate)


def concurrent(potential: Potential, cases: Sequence[ProbeCase]) -> Outcome:
    """Whether two threads that use a potential at once get what one alone gets.

    Args:
        potential: to judge.
        cases: at least one; each thread evaluates all, in opposite orders.
    """
    batches = [collate_for(potential, list(case.structures)) for case in cases]
    together = threading.Barrier(2)

    def evaluate() -> Deviation:
        alone = [(ask(potential, batch), batch) for batch in batches]

        def work(order: int) -> Deviation:
            together.wait()
            return worst(
                _apart(ask(potential, batch), expected, batch)
                for _ in range(_ROUNDS)
                for expected, batch in alone[::order]
            )

        with ThreadPoolExecutor(max_workers=2) as pool:
            return worst(pool.map(work, (1, -1)))

    return _outcome(evaluate)


def _apart(found: Answer, expected: Answer, batch: Batch) -> Deviation:
    """How far an answer is from an earlier one of the same potential: the same bits are the same.

    Whether what is not finite is right is another question.
    """
    pairs = [(found.energy, expected.energy), (found.forces, expected.forces)]
    if found.stress is not None and expected.stress is not None:
        pairs.append((found.stress, expected.stress))
    if all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
        return Deviation(energy_per_atom=0, forces=0, forces_rms=0)
    return difference(found, expected, batch)


def _outcome(evaluate: Callable[[], Deviation]) -> Outcome:
    try:
        return Outcome(evaluate())
    except Exception as error:  # whatever a runtime raises, the other cases are evaluated
        return Outcome(INFINITE, f"{type(error).__name__}: {error}")
