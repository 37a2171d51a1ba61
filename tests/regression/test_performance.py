"""Every student costs what was accepted: operators, memory and waits are counted, not timed."""

from collections.abc import Callable
from pathlib import Path

from mlffd.checks.cases import Case
from mlffd.checks.evidence import Evidence
from mlffd.testing import parametrize_with_checks

SETTINGS = Path(__file__).parents[2] / "mlffd.toml"


@parametrize_with_checks("speed", config=SETTINGS)
def test_speed(mlffd_case: Case, mlffd_gate: Callable[[Case], Evidence]) -> None:
    mlffd_gate(mlffd_case)
