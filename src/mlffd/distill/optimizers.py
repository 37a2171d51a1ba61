"""What moves the weights, and how fast at which step."""

import math
from collections.abc import Callable

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from mlffd.distill.recipe import Recipe
from mlffd.students import Student


def make_optimizers(student: Student, recipe: Recipe) -> list[Optimizer]:
    """The optimizers, each with its peak learning rates; every parameter belongs to one of them.

    Muon (Jordan et al., kellerjordan.github.io/posts/muon, 2024) moves weights of hidden layers by
    orthogonalized momentum, AdamW everything else. No weight decay: it would move the embeddings
    of elements that do not occur.
    """
    hidden = [
        layer.weight
        for layer in student.modules()
        if isinstance(layer, nn.Linear) and layer.out_features > 1
    ]
    chosen = {id(weight) for weight in hidden}
    others = [p for p in student.parameters() if id(p) not in chosen]
    return [
        Muon(hidden, lr=recipe.matrix_learning_rate, weight_decay=0.0),
        AdamW(others, lr=recipe.learning_rate, weight_decay=0.0, fused=True),
    ]


def rate_schedule(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """The fraction of the peak learning rate by step: linear up, then half a cosine down.

    Args:
        recipe: says how long the warm-up is.
        steps: of the whole training.
    """
    warmup = recipe.warmup_steps

    def fraction(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return fraction
