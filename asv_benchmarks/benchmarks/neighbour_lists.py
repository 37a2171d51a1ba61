"""Neighbour lists alone, and batches made of structures: the host's part of a prediction."""

from functools import cache
from typing import Any

from harness.systems import SYSTEMS
from harness.systems import system as structures_of

from mlffd.runtimes.potential import collate_for
from mlffd.structures.neighbours import find_neighbours

from .common import Timed, eager

_CUTOFF = 5.0  # Å


@cache
def _structures(system: str) -> list[Any]:
    return structures_of(system)


class PerStructure(Timed):
    """Seconds per structure."""

    version = "1"
    unit = "seconds per structure"
    param_names = ("system",)
    params = (SYSTEMS,)

    def setup(self, system: str) -> None:
        """Build, once."""
        self.structures = _structures(system)
        self.potential = eager("ultra_tiny")
        self.start_clock(share=len(self.structures))

    def time_neighbours(self, _: str) -> None:
        """All pairs within 5 Å of each structure."""
        for structure in self.structures:
            find_neighbours(structure, _CUTOFF)

    def time_collate(self, _: str) -> None:
        """The same, and the tensors that a student takes."""
        collate_for(self.potential, self.structures)
