"""A TorchScript file holds what it needs, nothing of this machine, and says that it is legacy."""

import zipfile
from pathlib import Path

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch_samples import sample_student

from mlffd.export.graph import INPUTS
from mlffd.export.torchscript import script, write_molecule


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file and what its writer says of it. Warnings are errors: none may come through."""
    path = tmp_path_factory.mktemp("torchscript") / "small.pt"
    return path, write_molecule(sample_student(2, layers=1), path)


def test_the_manifest_will_say_that_it_is_deprecated(written):
    _, facts = written

    assert "deprecated by PyTorch" in facts.options["torchscript"]
    assert facts.versions == {"torch": torch.__version__}


def test_it_does_not_tell_where_it_was_made(written):
    path, _ = written
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}

    assert any("/code/__torch__/mlffd/export/torchscript" in name for name in content)
    assert not any(str(Path(__file__).parents[3]).encode() in data for data in content.values())
    assert not any(path.name.encode() in data for data in content.values())


def test_graphs_that_differ_in_a_number_do_not_share_code():
    """TorchScript gives instances of one class the code of the first."""
    inputs = [torch.rand(3) for _ in INPUTS]
    for number in (5.0, 3.0):
        graph = make_fx(lambda *tensors, number=number: (tensors[1] * number, tensors[0]))(*inputs)

        scaled, first = script(graph)(*inputs)

        assert torch.equal(scaled, inputs[1] * number)
        assert torch.equal(first, inputs[0])
