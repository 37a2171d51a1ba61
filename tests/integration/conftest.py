"""What the integration tests share."""

import shutil
import sys
from pathlib import Path

import pytest
from mlffd_command import Result, Run
from small_project import Project, make_project

from mlffd.cli import main


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


@pytest.fixture
def mlffd(monkeypatch, capsys) -> Run:
    """The command, run in this process: starting one costs seconds."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["mlffd", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Result(ended.value.code, captured.out, captured.err)

    return run
