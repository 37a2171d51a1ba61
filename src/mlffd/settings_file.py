"""Where settings are; what reads them is elsewhere, so that looking for them costs nothing."""

from pathlib import Path

FILE_NAME = "mlffd.toml"


def find_settings(start: Path) -> Path | None:
    """The nearest ``mlffd.toml`` in a folder or above it."""
    folders = [start.resolve(), *start.resolve().parents]
    return next((f / FILE_NAME for f in folders if (f / FILE_NAME).is_file()), None)
