"""Packages that only some commands need: the extras of mlffd."""

import importlib
from typing import Any

from mlffd.errors import MissingPackageError


def import_optional(module: str, *, extra: str) -> Any:  # noqa: ANN401 - a module without types
    """Import a module of an extra of mlffd when it is first needed.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingPackageError(
            f"{package} is not installed: this needs pip install 'mlffd[{extra}]'"
        ) from error
