"""Training: fit a student to labelled structures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from ase.data import chemical_symbols

from mlffd.distill.batches import LabelledGraphs
from mlffd.distill.history import Epoch
from mlffd.distill.recipe import SIZES, Recipe, require_size
from mlffd.distill.run_folder import RunFolder
from mlffd.distill.trainer import Hardware, fit
from mlffd.errors import InputError
from mlffd.optional import import_optional
from mlffd.structures.structure import Structure
from mlffd.students import Student, build


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes:
        student: with the averaged weights of the epoch that was best on validation, in float32.
        best: that epoch.
        history: all epochs.
        is_first: whether this is the first of the processes that trained together.
    """

    student: Student
    best: Epoch
    history: list[Epoch]
    is_first: bool


class UnfinishedError(Exception):
    """Training stopped before its last epoch, and can be taken up."""


def train_student(
    train: Sequence[Structure],
    validation: Sequence[Structure],
    *,
    size: str,
    recipe: Recipe,
    hardware: Hardware | None = None,
    run: RunFolder | None = None,
    fingerprints: Mapping[str, str] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a revision 2 student; the same arguments on the same machine give the same weights.

    For the loss see `mlffd.distill.objective`, where the `score` is that the best epoch has the
    least of on validation.

    Args:
        train: labelled with energies and forces, and stresses where periodic.
        validation: the same; not trained on.
        size: a key of `SIZES`.
        recipe: how.
        hardware: where [default: one process on the CPU].
        run: where to save the training while it runs, and whether to go on from there; None: it
            cannot be taken up.
        fingerprints: of the data sets, by name: what a training that is taken up must agree with.
        on_step: called with the steps done and all steps, before the first step and after each.
        on_epoch: called after every epoch.

    Raises:
        InputError: Lightning is missing, the size is unknown, a data set is empty, a label is
            missing, validation has an element that train has not, the hardware is not there or
            not fit for compiling, the run cannot be taken up, or training diverged.
        UnfinishedError: the time that ``run`` allows is over.
    """
    import_optional("lightning.pytorch", extra="train")
    require_size(size)
    for key, structures in (("train", train), ("validation", validation)):
        require_labels(structures, key)
    require_elements(validation, train, "validation")
    hardware = hardware or Hardware()
    if recipe.compiled and hardware.devices > 1:
        raise InputError(f"--compile works on one device only, found --devices {hardware.devices}")
    identity: dict[str, object] = {
        "size": size,
        **asdict(recipe),
        "devices": hardware.devices,
        **(fingerprints or {}),
    }
    resumed = None if run is None else run.prepare(identity)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        student = build("StudentForceField", {**SIZES[size], "revision": 2})
    set_reference_energies(student, train)

    from mlffd.distill.lightning_module import Distillation

    training = Distillation(
        student,
        LabelledGraphs(train, student.cutoff),
        LabelledGraphs(validation, student.cutoff),
        recipe=recipe,
        identity=identity,
        on_epoch=on_epoch,
    )
    fit(training, hardware, run=run, resumed=resumed, on_step=on_step)
    if not training.is_complete:
        raise UnfinishedError(f"{len(training.history)} of {recipe.epochs} epochs are done")
    if training.best is None:
        raise InputError(f"training diverged: no epoch of {recipe.epochs} has a finite error")
    student.load_state_dict(training.best_weights)
    return Trained(
        student=student.cpu(),
        best=training.best,
        history=training.history,
        is_first=training.global_rank == 0,
    )


def require_labels(structures: Sequence[Structure], key: str) -> None:
    """Refuse to go on without labels.

    Args:
        structures: what is to have energies and forces, and stresses where periodic.
        key: what to call them.

    Raises:
        InputError: there are none, or a label is missing.
    """
    if not structures:
        raise InputError(f"{key}: expected labelled structures, found none")
    for structure in structures:
        labels = [("energy", structure.energy), ("forces", structure.forces)]
        if structure.is_periodic:
            labels.append(("stress", structure.stress))
        for name, value in labels:
            if value is None:
                raise InputError(f"{key}: {structure.label} has no {name}")


def require_elements(structures: Sequence[Structure], train: Sequence[Structure], key: str) -> None:
    """Refuse elements that nothing can be learnt about.

    Args:
        structures: what a student is to be judged by.
        train: what it learns from.
        key: what to call the former.

    Raises:
        InputError: an element occurs in them but not in train.
    """
    missing = sorted(_elements(structures) - _elements(train))
    if missing:
        names = ", ".join(chemical_symbols[z] for z in missing)
        raise InputError(f"{key}: has elements that do not occur in train: {names}")


def set_reference_energies(student: Student, structures: Sequence[Structure]) -> None:
    """Write the least-squares energy of each element, eV, into the float64 buffer.

    What is left for the network is of the size of a bond energy, not of a total energy. Elements
    that do not occur keep zero.
    """
    numbers = np.unique(np.concatenate([s.numbers for s in structures]))
    counts = np.array([(s.numbers[:, None] == numbers).sum(axis=0) for s in structures])
    energies = np.array([s.energy for s in structures], dtype=np.float64)
    fitted = np.linalg.lstsq(counts.astype(np.float64), energies, rcond=None)[0]
    student.get_buffer("reference_energies")[numbers] = torch.from_numpy(fitted)


def _elements(structures: Sequence[Structure]) -> set[int]:
    return {int(z) for s in structures for z in np.unique(s.numbers)}
