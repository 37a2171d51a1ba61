"""What builds a revision: what is installed here, if it will do."""

import pytest

from mlffd.performance import revisions
from mlffd.performance.revisions import build, resolve

PROJECT = """\
[build-system]
requires = [{}]
build-backend = "pytest"

[project]
name = "mlffd"
version = "1"
"""


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        ('"pytest>=1"', True),
        ('"pytest", "numpy>=2"', True),
        ('"pytest>=9999"', False),
        ('"pytest", "no-such-package"', False),
        ('"pytest ==="', False),
    ],
)
def test_without_the_network_only_where_all_that_builds_is_here(tmp_path, requires, expected):
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(requires))
    assert revisions._can_build_here(tmp_path) is expected


@pytest.mark.parametrize("content", [None, "[project", "[build-system]\nrequires = 3\n", "\udcff"])
def test_a_project_that_says_nothing_is_left_to_pip(tmp_path, content):
    if content is not None:
        (tmp_path / "pyproject.toml").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert not revisions._can_build_here(tmp_path)


def test_this_project_is_built_without_the_network(root, tmp_path, monkeypatch):
    pytest.importorskip("hatchling", reason="comes with the extra perf")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    built = build(root, resolve(root, "HEAD"), tmp_path)
    assert (built.packages / "mlffd" / "__init__.py").exists()
