"""The folder of a training: what it needs to be taken up, and its learning curve."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlffd.checkpoints.safety import read_torch_file
from mlffd.errors import InputError

#: Where in a checkpoint of a training our own state is.
STATE_KEY = "distillation"


@dataclass(frozen=True)
class RunFolder:
    """Where a training saves itself.

    Attributes:
        path: of the folder; made if it is not there.
        resume: whether to go on from what is in it.
        save_minutes: from one save to the next within an epoch.
        max_minutes: after which to save and stop; None: never.
    """

    path: Path
    resume: bool = False
    save_minutes: float = 5.0
    max_minutes: float | None = None

    @property
    def checkpoint(self) -> Path:
        """The last state of the training."""
        return self.path / "last.ckpt"

    @property
    def table(self) -> Path:
        """The learning curve."""
        return self.path / "epochs.csv"

    def prepare(self, identity: Mapping[str, object]) -> Path | None:
        """Make the folder, and find what to go on from.

        Args:
            identity: plain values that say which training this is.

        Returns:
            The checkpoint to go on from; None: begin.

        Raises:
            InputError: the folder cannot be made, there is nothing to resume or something that
                would be lost, or what is there belongs to another training.
        """
        if not self.resume:
            if self.checkpoint.exists():
                raise InputError(
                    f"{self.checkpoint}: a training is here already: --resume goes on with it;"
                    " remove the folder to begin again"
                )
            self._make()
            return None
        if not self.checkpoint.exists():
            raise InputError(f"{self.checkpoint}: not found, so there is nothing to resume")
        self._require_same(identity)
        return self.checkpoint

    def _make(self) -> None:
        try:
            self.path.mkdir(exist_ok=True)
            probe = self.path / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(f"{self.path}: cannot write here: {error.strerror}") from error

    def _require_same(self, identity: Mapping[str, object]) -> None:
        loaded = read_torch_file(self.checkpoint)
        state = loaded.get(STATE_KEY) if isinstance(loaded, dict) else None
        found = state.get("identity") if isinstance(state, dict) else None
        if not isinstance(found, dict):
            raise InputError(f"{self.checkpoint}: not a checkpoint of a training by mlffd")
        for key in sorted(found.keys() | identity.keys()):
            if found.get(key) != identity.get(key):
                raise InputError(
                    f"{self.checkpoint}: {key} was {found.get(key)!r}, now it is"
                    f" {identity.get(key)!r}: --resume needs the same training"
                )
