"""Checkpoints: read any known layout as untrusted data, check it strictly, write our own."""

from mlffd.checkpoints.checkpoint import Checkpoint, load_checkpoint, read_checkpoint
from mlffd.checkpoints.fingerprint import fingerprint
from mlffd.checkpoints.safetensors_writing import save_safetensors
from mlffd.checkpoints.writing import save_checkpoint

__all__ = [
    "Checkpoint",
    "fingerprint",
    "load_checkpoint",
    "read_checkpoint",
    "save_checkpoint",
    "save_safetensors",
]
