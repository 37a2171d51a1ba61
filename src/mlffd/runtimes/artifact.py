"""What potentials of exported files have in common: tensors in, tensors out, one manifest."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mlffd.export.graph import inputs_of
from mlffd.export.manifest import Manifest
from mlffd.runtimes.eager import available_device
from mlffd.structures.batch import Batch
from mlffd.structures.prediction import Prediction


class ArtifactPotential(ABC):
    """A potential that knows of its student only what the manifest says.

    Args:
        manifest: of the file.
        device: to compute on.

    Raises:
        InputError: the device is not there.
    """

    def __init__(self, manifest: Manifest, *, device: str | torch.device = "cpu") -> None:
        self.manifest = manifest
        self.device = available_device(device)
        self.dtype = manifest.dtype
        self.max_z = manifest.max_z
        self.cutoff = manifest.cutoff
        self._one_molecule = manifest.neighbours == "inside"
        self.honours_cells = manifest.honours_cells and not self._one_molecule
        self.has_stress = manifest.has_virial

    @abstractmethod
    def run(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Outputs in the order of the manifest, from inputs in that order."""

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        """See `Potential`.

        Raises:
            ValueError: a stress is asked for, and the file gives none.
        """
        if stress and not self.has_stress:
            raise ValueError("the file gives no virial: it has no stress")
        if self._one_molecule:
            return self._one_by_one(batch)
        return prediction_of(self.run(inputs_of(batch)), batch, stress=stress)

    def _one_by_one(self, batch: Batch) -> Prediction:
        counts = batch.atom_counts.tolist()
        molecules = zip(batch.numbers.split(counts), batch.positions.split(counts), strict=True)
        energies, forces = zip(*(self.run(molecule) for molecule in molecules), strict=True)
        return Prediction(energy=torch.cat(energies), forces=torch.cat(forces))


class TorchArtifactPotential(ArtifactPotential):
    """A potential of a file that PyTorch loads into something that is called with the inputs.

    Args:
        path: of the file.
        manifest: of the file.
        device: to compute on.
        threads: for the whole process; None: as many as PyTorch is set to.

    Raises:
        InputError: the file cannot be loaded, or the device is not there.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        device: str | torch.device = "cpu",
        threads: int | None = None,
    ) -> None:
        super().__init__(manifest, device=device)
        use_threads(threads)
        self._module = self.load(path)

    @abstractmethod
    def load(self, path: Path) -> Callable[..., Sequence[Tensor]]:
        """What is in the file, on the device.

        Raises:
            InputError: it is none of this format.
        """

    def run(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """See `ArtifactPotential.run`."""
        with torch.no_grad():
            return self._module(*inputs)


def prediction_of(outputs: Sequence[Tensor], batch: Batch, *, stress: bool) -> Prediction:
    """What a student's graph returns, as a prediction: ``stress = -virial / volume``.

    Args:
        outputs: in the order of `mlffd.export.graph.outputs_of`.
        batch: that they belong to.
        stress: whether it was asked for; the outputs then have a virial.
    """
    energy, forces, *virial = outputs
    return Prediction(
        energy=energy,
        forces=forces,
        stress=-virial[0] / batch.volumes()[:, None, None] if stress else None,
    )


def use_threads(threads: int | None) -> None:
    """Let PyTorch use so many threads: in the whole process, for it has one pool.

    Args:
        threads: None leaves it as it is.
    """
    if threads is not None:
        torch.set_num_threads(threads)
