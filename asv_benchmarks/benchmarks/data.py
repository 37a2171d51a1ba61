"""Reading labelled structures."""

from mlffd import Dataset

from .common import DATA, Timed


class Golden(Timed):
    """The golden set of the checkout that measures: the same file for all revisions."""

    version = "1"
    unit = "seconds"

    def setup(self) -> None:
        """Start the clock."""
        self.start_clock()

    def time_first(self) -> None:
        """Opening, and one structure."""
        with Dataset(DATA) as data:
            data[0]

    def time_all(self) -> None:
        """Opening, and all structures."""
        with Dataset(DATA) as data:
            list(data)
