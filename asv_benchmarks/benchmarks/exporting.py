"""How long exports take that take seconds, not minutes."""

import tempfile
from pathlib import Path
from typing import Any

from .common import Timed, checkpoint


class Exporting(Timed):
    """Writing a file, without the verification that `mlffd export` does besides."""

    version = "1"
    unit = "seconds"
    param_names = ("student", "format")
    params = (("ultra_tiny",), ("onnx", "torchscript", "torch-export", "safetensors"))
    # Once in each of two processes: a second export in a process finds torch's caches warm.
    repeat = 1
    warmup_time = 0

    def setup(self, student: str, format: str) -> None:
        """Find the checkpoint and the exporter."""
        path = checkpoint(student)
        try:
            from mlffd.checkpoints import read_checkpoint
            from mlffd.export.formats import format_named
        except ImportError as error:
            raise NotImplementedError(f"exports: {error}") from error
        self.format: Any = format_named(format)
        self.checkpoint = read_checkpoint(path)
        self.start_clock()

    def time_write(self, *_: str) -> None:
        """Seconds."""
        with tempfile.TemporaryDirectory() as folder:
            self.format.write(self.checkpoint, Path(folder) / f"file{self.format.suffix}", "fp32")
