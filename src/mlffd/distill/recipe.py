"""What is trained and how: the sizes that have a name, and a recipe for each."""

from dataclasses import dataclass

from mlffd.errors import InputError

#: The sizes of `StudentForceField` that have a name.
SIZES: dict[str, dict[str, int]] = {
    "original": {"hidden_dim": 128, "num_interactions": 3, "num_rbf": 20},
    "tiny": {"hidden_dim": 64, "num_interactions": 2, "num_rbf": 12},
    "ultra_tiny": {"hidden_dim": 32, "num_interactions": 2, "num_rbf": 10},
}


@dataclass(frozen=True)
class Recipe:
    """How to train; recorded beside the weights.

    Attributes:
        epochs: passes over the training structures.
        seed: of the initial weights and of the order of the structures.
        batch_atoms: atoms per step, about; a larger structure makes a step of its own.
        learning_rate: of AdamW at its peak, after the warm-up; then it falls to zero as a cosine.
        matrix_learning_rate: the same of Muon, see `make_optimizers`.
        warmup_steps: during which the learning rate rises linearly.
        largest_gradient: norms above it are scaled down.
        averaging: of the weights from step to step, exponential; the average is what is kept.
        energy_weight: of the mean absolute energy error per atom (eV), relative to the length of
            force errors (eV/Å).
        stress_weight: of the mean absolute error of stress times volume per atom (eV).
        validate_every: epochs from one validation to the next; the last epoch has one always.
        compiled: whether steps are compiled, see `mlffd.distill.compiled_step`.
    """

    epochs: int
    seed: int = 0
    batch_atoms: int = 144
    learning_rate: float = 2e-3
    matrix_learning_rate: float = 0.01
    warmup_steps: int = 200
    largest_gradient: float = 10.0
    averaging: float = 0.999
    energy_weight: float = 2.0
    stress_weight: float = 0.2
    validate_every: int = 1
    compiled: bool = False

    def validates(self, epoch: int) -> bool:
        """Whether the averaged weights are validated after an epoch, counted from 1."""
        return (self.epochs - epoch) % self.validate_every == 0


#: How each size is trained unless told otherwise.
RECIPES: dict[str, Recipe] = {
    # Wider layers want smaller steps: at 0.01 the loss rose from the third epoch on.
    "original": Recipe(epochs=42, learning_rate=1e-3, matrix_learning_rate=0.004, validate_every=2),
    "tiny": Recipe(epochs=50, learning_rate=4e-3),
    "ultra_tiny": Recipe(epochs=36, learning_rate=4e-3),
}


def require_size(size: str) -> None:
    """Refuse a size that has no name here.

    Raises:
        InputError: it has none.
    """
    if size not in SIZES:
        raise InputError(f"size {size!r} is unknown, expected one of {', '.join(SIZES)}")
