"""What exporters warn of, while they work: kept, and refused where it means a wrong file.

Exporters often know that what they write is wrong, say so in a warning or a line of their log, and
end as if all were well.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mlffd.errors import RefusedError

#: What the file will do wrong, by the words that exporters announce it with.
HARMFUL = {
    # torch.onnx of index_add and scatter, by the exporter that is not based on dynamo
    r"duplicated? (values|indices|indexes)": "sums lose contributions",
    # torch.jit.trace, and exporters built on it
    r"trace (to be incorrect|might not generalize)": "what depends on the input is baked in",
    r"registered as constants in the trace": "what depends on the input is baked in",
    # torch.export
    r"treat(ed)? (it )?as a constant": "what depends on the input is baked in",
    r"0/1 specialized": "a size is baked in",
    # torch.onnx
    r"fail(s|ed) ONNX (checker|shape inference)": "runtimes will not load it",
    r"failed to convert the model|the model was not modified": "its opset is not the one asked for",
}

#: Said of every export, and of no consequence to any: no student has operations of torchvision.
_IDLE = "torchvision is not installed"

#: Some of these do not pass their records on to the root.
_LOGGERS = ("", "torch", "torch.onnx", "torch.export", "onnx", "onnx_ir", "onnxscript")


@contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """Collect what is warned of and logged inside, each message once, in place of showing it.

    Yields:
        The messages; grows.

    Raises:
        RefusedError: one of them is known to mean a wrong file.
    """
    messages: list[str] = []
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    handlers = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = [_Keeper(messages)]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield messages
    finally:
        for logger, before in zip(loggers, handlers, strict=True):
            logger.handlers = before
    for warning in caught:
        _keep(messages, f"{warning.category.__name__}: {warning.message}")
    for message in messages:
        for words, consequence in HARMFUL.items():
            if re.search(words, message, flags=re.IGNORECASE | re.DOTALL):
                raise RefusedError(f"the exporter warned that {consequence}: {message}")


class _Keeper(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        _keep(self.messages, f"{record.name}: {record.getMessage()}")


def _keep(messages: list[str], message: str) -> None:
    message = " ".join(message.split())
    if _IDLE not in message and message not in messages:
        messages.append(message)
