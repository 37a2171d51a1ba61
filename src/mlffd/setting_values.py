"""Values that settings of every kind are made of."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field


def _possible_path(path: Path) -> Path:
    if "\0" in str(path):  # every later use of it would raise a ValueError
        raise ValueError("expected a path")
    return path


FilePath = Annotated[Path, AfterValidator(_possible_path)]

#: TOML knows inf and nan: either would be a limit that nothing exceeds.
Limit = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
#: Shorter runs show no drift, longer ones do not end while somebody waits.
Picoseconds = Annotated[float, Field(ge=0.05, le=1000, allow_inf_nan=False, strict=True)]
