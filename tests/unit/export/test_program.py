"""A program file holds the graph and the weights, nothing of this machine and no pickle."""

import re
import zipfile
from pathlib import Path

import pytest
import torch
from torch_samples import sample_student

from mlffd.export.program import write


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "small.pt2"
    assert write(sample_student(1, layers=1), path).versions == {"torch": torch.__version__}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_does_not_tell_where_it_was_made(content):
    folders = [str(Path(__file__).parents[3]), str(Path(torch.__file__).parent)]

    assert any(name.endswith("model.json") for name in content)
    for folder in folders:
        assert not [name for name, data in content.items() if folder.encode() in data]


def test_it_holds_no_pickle(content):
    """A pickle can run code when it is loaded."""
    assert not [name for name, data in content.items() if name.endswith(".pt") and data]
    settings = [data for name, data in content.items() if name.endswith("_config.json")]
    assert len(settings) == 2
    assert not any(re.search(rb'"use_pickle":\s*true', data) for data in settings)
