"""Bytes of checkpoints and of exported files."""

from .common import EXPORTS, STUDENTS, checkpoint

_SUFFIXES = {
    "onnx-fp32": ".onnx",
    "onnx-fp16": ".onnx",
    "onnx-int8-weights": ".onnx",
    "torch-export-fp32": ".pt2",
    "torchscript-fp32": ".pt",
    "aoti-fp32": ".pt2",
    "safetensors-fp32": ".safetensors",
    "safetensors-int8-weights": ".safetensors",
}


class Checkpoints:
    """What the revision ships."""

    version = "1"
    unit = "bytes"
    param_names = ("student",)
    params = (STUDENTS,)

    def setup(self, student: str) -> None:
        """Find the checkpoint."""
        self.path = checkpoint(student)

    def track_size(self, _: str) -> int:
        """Bytes."""
        return self.path.stat().st_size


class Artifacts:
    """What the revision exports."""

    version = "1"
    unit = "bytes"
    param_names = ("student", "artifact")
    params = (STUDENTS, tuple(_SUFFIXES))

    def setup(self, student: str, artifact: str) -> None:
        """Find the file."""
        name = f"{student}-{artifact}{_SUFFIXES[artifact]}"
        if EXPORTS is None or not (EXPORTS / name).exists():
            raise NotImplementedError(f"{name} was not exported")
        self.path = EXPORTS / name

    def track_size(self, *_: str) -> int:
        """Bytes."""
        return self.path.stat().st_size
