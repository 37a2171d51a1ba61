"""Whether an artifact that is there is the one that an export would make."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mlffd.errors import InputError
from mlffd.export.exporting import Order, source_fingerprint
from mlffd.export.manifest import Manifest, read_manifest, require_intact


def reason_to_export(order: Order, folder: Path) -> str | None:
    """Why an export is needed; None: what is there is intact and what it would make.

    It would make the same if the weights, what is done with them, and the versions of the packages
    are the same.

    Args:
        order: what is to be exported.
        folder: where the artifact would be.

    Raises:
        InputError: the format has no such option, or a package is missing.
    """
    artifact = folder / order.file_name
    try:
        manifest = read_manifest(artifact)
        require_intact(artifact, manifest)
    except InputError as error:
        return str(error)
    return _difference(order, manifest)


def _difference(order: Order, manifest: Manifest) -> str | None:
    for name, wanted in order.facts().items():
        found = getattr(manifest, name)
        if name == "options":  # the exporter adds what it decided by itself
            found = {option: found.get(option) for option in wanted}
        if found != wanted:
            return f"made with {name} {found}, not {wanted}"
    for package, found in manifest.versions.items():
        if (installed := _installed(package)) not in (None, found):
            return f"made with {package} {found}, not {installed}"
    if manifest.created.get("source") != source_fingerprint():
        return "made by other code of mlffd"
    return None


def _installed(package: str) -> str | None:
    """Version of a package; None: the name is none of a package, such as ``opset``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
