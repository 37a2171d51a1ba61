"""What the integration tests share."""

import shutil
from pathlib import Path

import pytest
from small_project import Project, make_project


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project to copy."""
    return make_project(tmp_path_factory.mktemp("template")).folder


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A small project in a folder of its own, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)
