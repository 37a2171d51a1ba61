"""What a potential says about a batch."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Prediction:
    """Energies and their derivatives.

    Attributes:
        energy: eV, float64 ``[B]``: a float32 sum of large atomic energies would lose meV.
        forces: eV/Å, ``[N, 3]``, in the potential's dtype.
        stress: eV/Å³, ``[B, 3, 3]``, NaN for structures that are not periodic in all three
            directions and so have no volume; None if the potential gives no stress.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor | None = None
