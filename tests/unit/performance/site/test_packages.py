import json
import re
from importlib import resources

import pytest

from mlffd.errors import MissingPackageError
from mlffd.performance.site import packages
from mlffd.performance.site.packages import install
from mlffd.performance.site.vendoring import _STAND_INS


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A program in npm's place."""

    def become(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return become


def pinned(name: str) -> dict:
    return json.loads(resources.files(packages.__package__).joinpath(name).read_text())


def test_everything_is_pinned_by_version_and_hash():
    wanted = pinned("package.json")["dependencies"]
    locked = pinned("package-lock.json")["packages"]

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    # None of them brings a package of its own.
    assert set(locked) == {"", *(f"node_modules/{name}" for name in wanted)}
    for name, version in wanted.items():
        assert locked[f"node_modules/{name}"]["version"] == version
        assert locked[f"node_modules/{name}"]["integrity"].startswith("sha512-")


def test_what_stands_in_is_of_a_pinned_package_and_of_the_version_that_asv_names():
    wanted = pinned("package.json")["dependencies"]

    for url, file in _STAND_INS.items():
        package = file.partition("/")[0]
        # The registry has a single version of this one.
        assert wanted[package] in url or package == "stupid-table-plugin"


def test_it_is_fetched_once_and_no_script_of_a_package_runs(npm, tmp_path):
    npm(f'echo "$@" >> {tmp_path}/calls; mkdir node_modules; cp package.json node_modules')

    first, again = install(tmp_path / "cache"), install(tmp_path / "cache")

    assert first == again
    assert json.loads((first / "package.json").read_text()) == pinned("package.json")
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.split()[:2] == ["ci", "--ignore-scripts"]


def test_a_failure_leaves_nothing_behind_and_says_what_npm_said(npm, tmp_path):
    npm("echo integrity checksum failed >&2; exit 1")

    with pytest.raises(MissingPackageError, match="integrity checksum failed"):
        install(tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_without_npm_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingPackageError, match="apt install npm"):
        install(tmp_path / "cache")
