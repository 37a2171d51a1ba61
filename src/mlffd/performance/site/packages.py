"""The packages of npm that pages load, at the versions and with the hashes that are pinned here."""

import hashlib
import shutil
import subprocess
from importlib import resources
from pathlib import Path

from mlffd.errors import MissingPackageError
from mlffd.files import write_folder_once
from mlffd.performance.revisions import default_cache

_PINS = ("package.json", "package-lock.json")
_LINES = 5  # of what npm said, from its end


def install(cache: Path | None = None) -> Path:
    """Install the packages, unless that was done before; the network is needed only then.

    npm verifies the hashes of the lock file, and runs no script of a package.

    Args:
        cache: where to keep them; None: where built revisions are kept, too.

    Returns:
        The folder with a folder for each package.

    Raises:
        MissingPackageError: npm is not installed, or could not fetch what is pinned.
        InputError: the cache cannot be written to.
    """
    pins = {name: resources.files(__package__).joinpath(name).read_bytes() for name in _PINS}
    digest = hashlib.sha256(b"".join(pins.values())).hexdigest()[:12]
    folder = (cache or default_cache().with_name("npm")) / digest
    write_folder_once(folder, lambda aside: _install(pins, aside))
    return folder / "node_modules"


def _install(pins: dict[str, bytes], folder: Path) -> None:
    program = shutil.which("npm")
    if program is None:
        raise MissingPackageError(
            "npm is not installed: the site needs it once, to fetch what asv's pages load "
            "(apt install npm, or https://nodejs.org)"
        )
    for name, content in pins.items():
        (folder / name).write_bytes(content)
    command = [program, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LINES:])
        raise MissingPackageError(f"npm ci could not install what the site loads: {said}")
