"""Faults of checkpoint files: another student, a damaged one, or one that is no longer read."""

from collections.abc import Iterator

import torch

from mlffd.checkpoints import fingerprint, save_checkpoint
from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import add_noise
from mlffd.students.student_force_field import StudentForceField

_BROMINE = 35


@fault(
    caught_by=["accuracy"],
    refused_by=["matches_golden"],
    sizes=[1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    unit="relative",
    limit=3e-2,
)
def worse_checkpoint(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """A new checkpoint is less accurate than the one before.

    Training that was stopped too early, on fewer data, or with another seed; new weights cannot be
    held against old predictions, so only the labels tell.
    """
    yield healthy.student(healthy.resaved(lambda student: add_noise(student, size)))


@fault(caught_by=["parameter_count"], refused_by=["matches_golden"])
def another_student_under_the_name(healthy: Healthy) -> Iterator[StudentSubject]:
    """The file of a larger student lies under this one's name.

    Files of several sizes are copied about by hand.
    """
    config = healthy.checkpoint.config
    larger = StudentForceField.from_config({**config, "num_rbf": config["num_rbf"] + 2})
    path = healthy.path(".pt")
    elements = sorted(healthy.checkpoint.elements or ())
    save_checkpoint(path, larger, elements=elements, training={})
    yield healthy.student(path)


@fault(caught_by=["element_coverage"])
def untrained_element_claimed(healthy: Healthy) -> Iterator[StudentSubject]:
    """A checkpoint says that it was trained on bromine, which its data do not hold.

    The list of elements was copied from another student; the embedding is still initial.
    """
    student = healthy.checkpoint.student()
    claimed = {*(healthy.checkpoint.elements or ()), _BROMINE}
    path = healthy.path(".pt")
    save_checkpoint(path, student, elements=sorted(claimed), training={})
    subject = healthy.student(path)
    subject.elements = frozenset(claimed)
    yield subject


@fault(caught_by=["finite_weights"])
def nan_where_nothing_looks(healthy: Healthy) -> Iterator[StudentSubject]:
    """One weight is NaN, in the embedding of an element that no structure holds.

    A diverged optimizer state, or an overflow in a conversion.
    """
    document = torch.load(healthy.checkpoint.path, weights_only=True)
    document["model_state_dict"]["embedding.weight"][_BROMINE, 0] = torch.nan
    document["fingerprint"] = fingerprint(document["model_state_dict"])  # not a damaged file
    path = healthy.path(".pt")
    torch.save(document, path)
    yield healthy.student(path)


@fault(caught_by=["loads"])
def one_bit_flipped(healthy: Healthy) -> Iterator[StudentSubject]:
    """One bit of the file is another.

    A damaged disk or transfer; PyTorch reads such a file without a word.
    """
    content = bytearray(healthy.checkpoint.path.read_bytes())
    content[len(content) // 2] ^= 1
    path = healthy.path(".pt")
    path.write_bytes(content)
    yield healthy.student(path)


@fault(caught_by=["loads"], seen_in="atomistic-machine-learning/schnetpack#518")
def renamed_layer(healthy: Healthy) -> Iterator[StudentSubject]:
    """A layer has another name in the code than in the file.

    A refactoring that nobody tried with an older checkpoint.
    """
    document = torch.load(healthy.checkpoint.path, weights_only=True)
    weights = document["model_state_dict"]
    weights["readout.0.weight"] = weights.pop("energy_head.0.weight")
    path = healthy.path(".pt")
    torch.save({"model_state_dict": weights, "config": document["config"]}, path)
    yield healthy.student(path)
