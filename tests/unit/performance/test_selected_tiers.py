"""What is measured, if nothing is asked for, and if something is."""

import pytest

from mlffd.errors import InputError
from mlffd.performance.ab import selected
from mlffd.performance_settings import PerformanceSettings

CPU, LARGE, GPU = (
    f"tiny/eager/fp32/{name}" for name in ("cpu/batch1", "cpu/atoms187", "cuda/batch1")
)
SETTINGS = PerformanceSettings.model_validate(
    {"tiers": {"gate": {"workloads": [CPU, LARGE]}, "gpu": {"workloads": [GPU], "default": False}}}
)


def chosen(*only: str, settings: PerformanceSettings = SETTINGS) -> dict[str, tuple[str, ...]]:
    return {name: tier.workloads for name, tier in selected(settings, only).tiers.items()}


def test_without_being_asked_a_tier_that_is_no_default_is_left_out():
    assert chosen() == {"gate": (CPU, LARGE)}


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["gpu"], {"gpu": (GPU,)}),
        ([GPU, CPU], {"gate": (CPU,), "gpu": (GPU,)}),
        (["gate", "gpu"], {"gate": (CPU, LARGE), "gpu": (GPU,)}),
    ],
)
def test_what_is_asked_for_is_measured_be_it_default_or_not(only, expected):
    assert chosen(*only) == expected


def test_nothing_by_default_is_an_error_and_no_success():
    with pytest.raises(InputError, match="none is measured by default"):
        chosen(settings=SETTINGS.model_copy(update={"tiers": {"gpu": SETTINGS.tiers["gpu"]}}))
