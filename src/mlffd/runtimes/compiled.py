"""A student as `torch.compile` runs it."""

import copy
import warnings

import numpy as np
import torch
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import InvalidCxxCompiler
from torch.fx.experimental import _config as fx_config

from mlffd.errors import InputError, MissingPackageError
from mlffd.export.graph import example_for, inputs_of, trace
from mlffd.export.inductor import OPTIONS
from mlffd.runtimes.artifact import prediction_of
from mlffd.runtimes.eager import available_device
from mlffd.structures.batch import Batch, collate
from mlffd.structures.prediction import Prediction
from mlffd.structures.structure import Structure
from mlffd.students.base import Student


class CompiledPotential:
    """A student whose traced graph, gradient included, is compiled.

    It is compiled once, here, which takes tens of seconds. Compilers make other code for sizes of
    zero and one, so a hydrogen molecule is added to every batch: no size is ever below two.

    Args:
        student: is copied, so that its dtype and device stay as they are.
        dtype: to compute in.
        device: to compute on.

    Raises:
        MissingPackageError: there is no C++ compiler.
        InputError: the device is not there, or compiling for it fails.
    """

    def __init__(
        self,
        student: Student,
        *,
        dtype: torch.dtype = torch.float64,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = available_device(device)
        self.dtype = dtype
        self.max_z = student.max_z
        self.cutoff = student.cutoff
        self.honours_cells = student.honours_cells
        self.has_stress = student.honours_cells
        own = copy.deepcopy(student).to(device=self.device, dtype=dtype).eval()
        hydrogen = Structure(np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.75, 0.0, 0.0]]))
        self._hydrogen = inputs_of(collate([hydrogen], 1.0, dtype=dtype, device=self.device))
        # Sizes that are equal by chance in the example are not equal in every batch.
        with fx_config.patch(use_duck_shape=False):  # type: ignore[attr-defined]
            graph = trace(own)
            try:
                with warnings.catch_warnings():
                    # The compiler is made of much that PyTorch has deprecated itself.
                    warnings.filterwarnings("ignore", ".*deprecated", DeprecationWarning)
                    warnings.filterwarnings("ignore", ".*deprecated", FutureWarning)
                    self._graph = torch.compile(graph, dynamic=True, options=dict(OPTIONS))
                    self(example_for(own))
            except BackendCompilerFailed as error:
                reason = str(error.inner_exception).partition("\n")[0]
                missing = isinstance(error.inner_exception, InvalidCxxCompiler)
                kind = MissingPackageError if missing else InputError
                raise kind(f"torch.compile cannot be used here: {reason}") from error

    def __call__(self, batch: Batch, *, stress: bool = False) -> Prediction:
        """See `Potential`.

        Raises:
            ValueError: a stress is asked for, and the student ignores cells.
        """
        if stress and not self.has_stress:
            raise ValueError("the student ignores cells: it has no stress")
        atoms, structures = len(batch.numbers), len(batch)
        with torch.no_grad():  # the graph holds the gradient already
            energy, forces, *virial = self._graph(*self._in_company(inputs_of(batch)))
        outputs = energy[:structures], forces[:atoms], *(v[:structures] for v in virial)
        return prediction_of(outputs, batch, stress=stress)

    def _in_company(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        """The inputs, and those of the hydrogen molecule behind them."""
        numbers, positions, edge_index, shifts, structure_index, atom_counts = inputs
        others = self._hydrogen
        return [
            torch.cat([numbers, others[0]]),
            torch.cat([positions, others[1]]),
            torch.cat([edge_index, others[2] + len(numbers)], dim=1),
            torch.cat([shifts, others[3]]),
            torch.cat([structure_index, others[4] + len(atom_counts)]),
            torch.cat([atom_counts, others[5]]),
        ]
