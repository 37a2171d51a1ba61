"""What exporters warn of: kept, and an error where the file would be wrong."""

import logging
import warnings

import pytest
import torch

from mlffd.errors import RefusedError
from mlffd.export.warnings_kept import kept_warnings


def test_warnings_and_log_records_are_collected_once_each_in_place_of_being_shown(capfd):
    with kept_warnings() as messages:
        for _ in range(2):
            warnings.warn("about to change", FutureWarning, stacklevel=1)
            logging.getLogger("torch.onnx").warning("skipped %s", "a pass")
            logging.getLogger("somebody.else").warning("at the root")
        logging.getLogger("torch.onnx").info("not worth a word")
        logging.getLogger("torch.onnx").warning("torchvision is not installed. Skipping nms")
    assert messages == [
        "torch.onnx: skipped a pass",
        "somebody.else: at the root",
        "FutureWarning: about to change",
    ]
    assert capfd.readouterr() == ("", "")


def test_handlers_are_gone_afterwards_even_after_an_error():
    before = {name: list(logging.getLogger(name).handlers) for name in ("", "torch", "torch.onnx")}
    with pytest.raises(ZeroDivisionError), kept_warnings():
        raise ZeroDivisionError
    for name, handlers in before.items():
        assert logging.getLogger(name).handlers == handlers


def baked_number():
    torch.jit.trace(lambda x: x * float(x.sum()), torch.ones(2), check_trace=False)


def baked_branch():
    torch.jit.trace(lambda x: x if x.sum() > 0 else -x, torch.ones(2), check_trace=False)


def baked_tensor():
    torch.jit.trace(lambda x: x + torch.tensor(x.shape[0]), torch.ones(2), check_trace=False)


@pytest.mark.parametrize("trace", [baked_number, baked_branch, baked_tensor])
def test_a_trace_that_bakes_in_what_depends_on_the_input_is_refused(trace):
    with (
        pytest.raises(RefusedError, match="what depends on the input is baked in"),
        kept_warnings(),
    ):
        trace()


class Adding(torch.nn.Module):
    def forward(self, index, values):
        return torch.zeros(3).index_add(0, index, values)


def test_sums_that_the_old_onnx_exporter_gets_wrong_are_refused(tmp_path):
    pytest.importorskip("onnx", reason="the exporter writes with onnx")
    arguments = (torch.tensor([0, 0, 2]), torch.ones(3))
    refused = pytest.raises(RefusedError, match=r"sums lose contributions: .*duplicated values")
    with refused, kept_warnings():
        torch.onnx.export(Adding(), arguments, tmp_path / "sum.onnx", dynamo=False)
    assert (tmp_path / "sum.onnx").exists()  # the exporter was content with itself


def test_an_opset_that_was_not_reached_is_refused():
    with pytest.raises(RefusedError, match="not the one asked for"), kept_warnings():
        logging.getLogger("onnxscript.version_converter").warning(
            "The model version conversion is not supported. The model was not modified"
        )
