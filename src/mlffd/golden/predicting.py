"""What a potential predicts for the structures of a data set."""

from collections.abc import Sequence

from mlffd.golden.records import Predictions
from mlffd.runtimes.potential import Potential, predict
from mlffd.structures.structure import Structure


def predict_all(potential: Potential, structures: Sequence[Structure]) -> Predictions:
    """Energies, forces and, where the structures have such labels and the potential can, stresses.

    Raises:
        InputError: there is no structure, or one has an element that the potential does not know.
    """
    stress = potential.has_stress and any(s.stress is not None for s in structures)
    results = predict(potential, structures, stress=stress)
    return Predictions.concatenate(
        [s.name for s in structures],
        [r.energy for r in results],
        [r.forces for r in results],
        [r.stress for r in results if r.stress is not None] if stress else None,
    )
