"""The gate as ordinary pytest tests: for projects that want to see each case in a test file."""

import os
from collections.abc import Callable

import pytest

from mlffd.checks.cases import configured_subjects, plan
from mlffd.config import load_settings
from mlffd.errors import InputError

__all__ = ["parametrize_with_checks"]


def parametrize_with_checks(
    *only: str, config: str | os.PathLike[str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: run a test once for each case, as its argument ``mlffd_case``.

    The test hands the case to the fixture ``mlffd_gate``, which runs it, records the evidence for
    the report, and fails unless it passes.

    Args:
        only: checks or concerns; none means all.
        config: path of the ``mlffd.toml``.

    Raises:
        pytest.UsageError: the settings cannot be used, or no case results: a gate without cases
            would always be green.
    """
    from pathlib import Path

    try:
        cases = plan(configured_subjects(load_settings(Path(config))), only).cases
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    return pytest.mark.parametrize(
        "mlffd_case",
        [
            pytest.param(
                case, id=case.id, marks=getattr(pytest.mark, f"mlffd_{case.check.concern}")
            )
            for case in cases
        ],
    )
