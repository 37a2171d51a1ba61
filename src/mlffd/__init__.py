"""mlffd: CI regression tests for compact machine-learned force fields."""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = version("mlffd")

if TYPE_CHECKING:
    from mlffd.checkpoints import load_checkpoint
    from mlffd.checks.run import run_checks
    from mlffd.runtimes.loading import load_potential
    from mlffd.structures.dataset import Dataset

#: Where the public names live. Imported on first use: the pytest plugin is loaded in every test
#: session of an environment that has mlffd, and must not make all of them import torch.
_HOMES = {
    "Dataset": "mlffd.structures.dataset",
    "load_checkpoint": "mlffd.checkpoints",
    "load_potential": "mlffd.runtimes.loading",
    "run_checks": "mlffd.checks.run",
}

__all__ = ["Dataset", "__version__", "load_checkpoint", "load_potential", "run_checks"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the types are above, for type checkers
    if name not in _HOMES:
        raise AttributeError(f"module 'mlffd' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
