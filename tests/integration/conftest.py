"""What the integration tests share."""

from pathlib import Path

import pytest
from small_project import Project, make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A small project in a folder of its own, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)
