"""Every student predicts what its golden says, and is as accurate as it was."""

from collections.abc import Callable
from pathlib import Path

from mlffd.checks.cases import Case
from mlffd.checks.evidence import Evidence
from mlffd.testing import parametrize_with_checks

SETTINGS = Path(__file__).parents[2] / "mlffd.toml"


@parametrize_with_checks("golden", config=SETTINGS)
def test_golden(mlffd_case: Case, mlffd_gate: Callable[[Case], Evidence]) -> None:
    mlffd_gate(mlffd_case)
