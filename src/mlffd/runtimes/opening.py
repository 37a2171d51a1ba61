"""From an artifact to a potential: its manifest says which runtime."""

import os
from pathlib import Path

from mlffd.export.formats import format_named
from mlffd.export.manifest import read_manifest, require_intact
from mlffd.runtimes.potential import Potential


def open_artifact(
    path: str | os.PathLike[str],
    *,
    device: str = "cpu",
    threads: int | None = None,
    check_hash: bool = True,
) -> Potential:
    """Open an exported file in its runtime.

    Args:
        path: of the file; its manifest is beside it.
        device: to compute on.
        threads: that the runtime may use; None: as many as it likes.
        check_hash: False trusts the file to be the one that the manifest describes.

    Raises:
        InputError: the manifest is missing or unknown, the file is not the one that it describes
            or not usable, a package is missing, or the device is not there.
    """
    path = Path(path)
    manifest = read_manifest(path)
    if check_hash:
        require_intact(path, manifest)
    runtime = format_named(manifest.format).potential
    potential: Potential = runtime(path, manifest, device=device, threads=threads)
    return potential
