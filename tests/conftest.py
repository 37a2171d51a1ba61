"""What all tests share."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings

#: Runs pytest within a test: how the plugin is tested.
pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
UPSTREAM = ROOT.parent / "shared" / "upstream"

# The same examples in every run: a regression suite that fails at random teaches to ignore it.
settings.register_profile("reproducible", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("reproducible")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Nothing that is timed shares the machine with other tests; that it is left out is said."""
    if hasattr(config, "workerinput"):
        alone = pytest.mark.skip(reason="timed: run `pytest -n0 -m timed`")
        for item in items:
            if item.get_closest_marker("timed"):
                item.add_marker(alone)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small tensors gain nothing from more threads, and workers of xdist lose by them."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def upstream() -> Path:
    """The folder with three real students, which are not ours to commit."""
    if not UPSTREAM.is_dir():
        pytest.skip(f"the real students are not here: {UPSTREAM}")
    return UPSTREAM
