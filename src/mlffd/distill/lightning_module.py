"""The step, the epoch and the memory of a training, as Lightning wants them.

Imports Lightning: import this module only where that is known to be installed.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from mlffd.distill.averaging import WeightAverage
from mlffd.distill.batches import LabelledGraphs, TrainingBatch
from mlffd.distill.compiled_step import CompiledStep
from mlffd.distill.history import Epoch
from mlffd.distill.objective import error_sums, metrics_of, score, training_loss
from mlffd.distill.optimizers import make_optimizers, rate_schedule
from mlffd.distill.recipe import Recipe
from mlffd.distill.run_folder import STATE_KEY
from mlffd.distill.sampling import BatchPlan
from mlffd.distill.steps import EpochSteps
from mlffd.errors import InputError
from mlffd.students import Student

_PREFIX = "model."
#: Of validation batches; without gradients there is room for more.
_VALIDATION_ATOMS = 1024


class Distillation(LightningModule):
    """A student in training.

    It counts its steps itself and takes everything that depends on them (structures of a step,
    learning rate, average) from that count, so that a run that is taken up goes on exactly.

    Its checkpoints hold the averaged weights as ``state_dict``, under names that begin with
    ``model.``, and the config: `mlffd.load_checkpoint` reads them.

    Args:
        student: to train, in float32.
        train: what to learn from.
        validation: what to choose the best epoch by.
        recipe: how.
        identity: plain values that say which training this is; saved with every checkpoint.
        on_epoch: called after every epoch, in the first process.

    Attributes:
        model: the student.
        steps: that have been taken.
        history: of all complete epochs.
        best: the epoch that was best on validation; None: none was validated yet.
        best_weights: the averaged ones of that epoch.
        identity: as given.
    """

    def __init__(
        self,
        student: Student,
        train: LabelledGraphs,
        validation: LabelledGraphs,
        *,
        recipe: Recipe,
        identity: dict[str, object],
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # there may be several optimizers
        self.model = student
        self.identity = identity
        self.steps = 0
        self.history: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: dict[str, Tensor] = {}
        self._recipe = recipe
        self._train_graphs = train
        self._validation_graphs = validation
        self._on_epoch = on_epoch
        self._average = WeightAverage(student, recipe.averaging)
        self._losses = torch.zeros((), dtype=torch.float64)
        self._seconds = 0.0
        self._clock = 0.0
        self._compiled: CompiledStep | None = None
        self._plan: BatchPlan
        self._validation_batches: list[TrainingBatch]

    @property
    def steps_per_epoch(self) -> int:
        """The same in all epochs."""
        return self._plan.steps

    @property
    def total_steps(self) -> int:
        """Of the whole training."""
        return self._recipe.epochs * self._plan.steps

    @property
    def epochs(self) -> int:
        """Of the whole training."""
        return self._recipe.epochs

    @property
    def is_complete(self) -> bool:
        """Whether the last epoch is over."""
        return len(self.history) == self.epochs

    @property
    def between_epochs(self) -> bool:
        """Whether no epoch has been begun without being finished."""
        return self.steps % self._plan.steps == 0

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Plan batches for as many processes as there are."""
        self._plan = self._plan_for(self._train_graphs, self._recipe.batch_atoms)

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """Optimizers and their schedules, which `training_step` moves on."""
        optimizers = make_optimizers(self.model, self._recipe)
        fraction = rate_schedule(self._recipe, self.total_steps)
        return optimizers, [LambdaLR(optimizer, fraction) for optimizer in optimizers]

    def train_dataloader(self) -> EpochSteps:
        """The steps that are left of an epoch; Lightning asks once and iterates every epoch."""
        return EpochSteps(self)

    def on_fit_start(self) -> None:
        """Put what Lightning does not know of onto the device."""
        self._average.student.to(self.device)
        self._losses = self._losses.to(self.device)
        plan = self._plan_for(self._validation_graphs, _VALIDATION_ATOMS * self._processes)
        # Those that would come twice to fill the last step are left out: each counts once.
        mine = [
            batches[self.global_rank]
            for step, batches in enumerate(plan.epoch(0))
            if step * self._processes + self.global_rank < plan.batches
        ]
        self._validation_batches = [
            self._validation_graphs.select(chosen).to(self.device) for chosen in mine
        ]

    def on_train_start(self) -> None:
        """Start the clock, and compile if that is asked for.

        Raises:
            InputError: see `CompiledStep`; or no batch of molecules is fit for it.
        """
        self._clock = time.monotonic()
        if self._recipe.compiled:
            self._compiled = CompiledStep(self.model, self._recipe, self._example())

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> None:  # noqa: ARG002
        """One step of every optimizer."""
        optimizers, schedules = _listed(self.optimizers()), _listed(self.lr_schedulers())
        if self._compiled is not None and self._compiled.can_take(batch):
            loss = self._compiled(batch)
        else:
            loss = training_loss(self.model, batch, self._recipe)
            for optimizer in optimizers:
                optimizer.zero_grad()
            self.manual_backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.largest_gradient)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        self._average.update(self.model, self.steps)
        self._losses += loss.detach()
        self.steps += 1

    def on_train_epoch_end(self) -> None:
        """Validate, remember, and keep the best weights.

        Raises:
            InputError: the loss is not finite any more.
        """
        if not self.between_epochs:  # stopped early
            return
        number = self.steps // self.steps_per_epoch
        loss = float(self._reduced(self._losses, "mean")) / self.steps_per_epoch
        self._losses.zero_()
        if not math.isfinite(loss):
            raise InputError(
                f"training diverged in epoch {number}: the loss is {loss}; a lower learning rate"
                f" than {self._recipe.learning_rate} may help"
            )
        metrics = None
        if self._recipe.validates(number):
            student = self._average.student
            sums = error_sums(student, self._validation_batches, self.device)
            metrics = metrics_of(self._reduced(sums, "sum"))
        epoch = Epoch(
            number=number,
            loss=loss,
            learning_rate=float(self._rates()[0]),
            seconds=self._elapsed(),
            validation=metrics,
        )
        self.history.append(epoch)
        if metrics is not None and self._is_best(metrics):
            self.best = epoch
            self.best_weights = _copied(self._average.student.state_dict())
        if self._on_epoch is not None and self.global_rank == 0:
            self._on_epoch(epoch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know of, and make the average what the file is about."""
        averaged = self._average.student.state_dict()
        checkpoint["config"] = self.model.config
        checkpoint["state_dict"] = {_PREFIX + name: value for name, value in averaged.items()}
        checkpoint[STATE_KEY] = {
            "identity": self.identity,
            "steps": self.steps,
            "weights": self.model.state_dict(),
            "best_weights": self.best_weights,
            "best": None if self.best is None else self.best.number,
            "history": [asdict(epoch) for epoch in self.history],
            "losses": float(self._losses),
            "seconds": self._elapsed(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint of the same training."""
        state = checkpoint[STATE_KEY]
        averaged = checkpoint["state_dict"]
        self._average.load({name.removeprefix(_PREFIX): v for name, v in averaged.items()})
        # What Lightning restores after this are the weights in training.
        checkpoint["state_dict"] = {_PREFIX + name: v for name, v in state["weights"].items()}
        self.steps = state["steps"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.best = None if state["best"] is None else self.history[state["best"] - 1]
        self.best_weights = state["best_weights"]
        self._losses.fill_(state["losses"])
        self._seconds = state["seconds"]

    def batches_from(self, steps: int) -> Iterator[TrainingBatch]:
        """The batches of this process for the rest of the epoch in which a step is."""
        epoch, done = divmod(steps, self.steps_per_epoch)
        for batches in self._plan.epoch(epoch)[done:]:
            yield self._train_graphs.select(batches[self.global_rank])

    def _example(self) -> TrainingBatch:
        """The first batch that is fit to be one, whatever step the training is at."""
        for (chosen,) in self._plan.epoch(0):
            batch = self._train_graphs.select(chosen)
            if CompiledStep.is_example(batch):
                return batch.to(self.device)
        raise InputError("--compile needs steps with several molecules, found none")

    @property
    def _processes(self) -> int:
        return int(self.trainer.world_size)

    def _plan_for(self, graphs: LabelledGraphs, batch_atoms: int) -> BatchPlan:
        return BatchPlan(
            graphs.atom_counts,
            graphs.periodic,
            batch_atoms=batch_atoms,
            seed=self._recipe.seed,
            processes=self._processes,
        )

    def _is_best(self, metrics: dict[str, float]) -> bool:
        found = score(metrics, self._recipe)
        if self.best is None or self.best.validation is None:
            return math.isfinite(found)
        return found < score(self.best.validation, self._recipe)

    def _rates(self) -> list[float]:
        return [rate for s in _listed(self.lr_schedulers()) for rate in s.get_last_lr()]

    def _elapsed(self) -> float:
        return self._seconds + (time.monotonic() - self._clock)

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        reduced: Tensor = self.trainer.strategy.reduce(values.clone(), reduce_op=how)
        return reduced


def _listed(found: Any) -> list[Any]:  # noqa: ANN401 - Lightning gives one or a list
    return found if isinstance(found, list) else [found]


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in weights.items()}
