"""Faults of weights: what is read is not what was trained, or what was trained is worse."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mlffd.checkpoints.rounding import INT8, rounded
from mlffd.checks.subjects import StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.planting import add_noise, with_student
from mlffd.runtimes.eager import EagerPotential
from mlffd.students import Student
from mlffd.students.student_force_field import StudentForceField

_SEED = 0
#: Three square matrices, one below the other.
_SQUARES = "interactions.0.update.update_mlp.2.weight"
_LAYER = "interactions.1.update.update_mlp.0.weight"
_CARBON, _NITROGEN, _CHLORINE = 6, 7, 17


def _in_dtype(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.to(dtype).to(tensor.dtype)


def _layer_rounded(healthy: Healthy, convert: Callable[[Tensor], Tensor]) -> StudentSubject:
    def round_layer(student: Student) -> None:
        weight = student.get_parameter(_LAYER)
        weight.copy_(convert(weight))

    return with_student(healthy.student(), round_layer)


@fault(
    caught_by=["matches_golden"],
    sizes=[1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
    unit="relative",
    limit=1e-7,
)
def weight_noise(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """Weights are not quite those of the file.

    A reader that casts to a smaller type and back, an averaging that runs once too often, a library
    that initializes after it has loaded.
    """
    yield with_student(healthy.student(), lambda student: add_noise(student, size))


@fault(
    caught_by=["matches_golden"],
    sizes=[1e-8, 1e-6, 1e-4, 1e-2],
    unit="relative",
    limit=1e-6,
)
def one_layer_scaled(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """One matrix is larger than it should be.

    A normalisation that is folded into a layer twice, or into the wrong one.
    """
    yield with_student(
        healthy.student(), lambda student: student.get_parameter(_LAYER).mul_(1 + size)
    )


@fault(caught_by=["matches_golden"])
def one_layer_transposed(healthy: Healthy) -> Iterator[StudentSubject]:
    """A square matrix is transposed.

    Conversion from a framework that multiplies from the other side; every shape still fits.
    """

    def transpose(student: Student) -> None:
        matrices = student.get_parameter(_SQUARES)
        square = matrices[-matrices.shape[1] :]
        square.copy_(square.T.clone())

    yield with_student(healthy.student(), transpose)


@fault(caught_by=["matches_golden"])
def one_layer_in_half_precision(healthy: Healthy) -> Iterator[StudentSubject]:
    """One matrix is rounded to float16.

    Mixed precision that a checkpoint was saved from.
    """
    yield _layer_rounded(healthy, _in_dtype(torch.float16))


@fault(caught_by=["matches_golden"])
def one_layer_in_bfloat16(healthy: Healthy) -> Iterator[StudentSubject]:
    """One matrix is rounded to bfloat16.

    Mixed precision on a newer GPU: a thousandth of each weight is lost.
    """
    yield _layer_rounded(healthy, _in_dtype(torch.bfloat16))


@fault(caught_by=["matches_golden"])
def one_layer_in_int8(healthy: Healthy) -> Iterator[StudentSubject]:
    """One matrix is rounded to eight bits.

    A quantized export that was read back and taken for the student.
    """
    yield _layer_rounded(healthy, lambda weight: rounded({"w": weight.float()}, INT8)["w"].double())


@fault(caught_by=["matches_golden"])
def all_weights_in_half_precision(healthy: Healthy) -> Iterator[StudentSubject]:
    """Every weight is rounded to float16.

    A reader that halves what it reads, to save memory, and widens it again.
    """

    def halve(student: Student) -> None:
        for parameter in student.parameters():
            parameter.copy_(parameter.half())

    yield with_student(healthy.student(), halve)


@fault(caught_by=["matches_golden"])
def swapped_embedding_rows(healthy: Healthy) -> Iterator[StudentSubject]:
    """Carbon has nitrogen's embedding, and nitrogen carbon's.

    A table of species in another order than the one that was trained with.
    """

    def swap(student: Student) -> None:
        rows = student.get_parameter("embedding.weight")
        rows[[_CARBON, _NITROGEN]] = rows[[_NITROGEN, _CARBON]].clone()

    yield with_student(healthy.student(), swap)


@fault(caught_by=["matches_golden"])
def shifted_embedding_rows(healthy: Healthy) -> Iterator[StudentSubject]:
    """Every element has the embedding of its neighbour in the periodic table.

    Indices that count elements from zero where atomic numbers count from one.
    """

    def shift(student: Student) -> None:
        rows = student.get_parameter("embedding.weight")
        rows.copy_(rows.roll(1, dims=0))

    yield with_student(healthy.student(), shift)


@fault(caught_by=["matches_golden"])
def one_element_forgotten(healthy: Healthy) -> Iterator[StudentSubject]:
    """Chlorine has its initial, random embedding.

    A fine-tuning that resized the table of elements and kept the rows that it knew.
    """

    def forget(student: Student) -> None:
        row = student.get_parameter("embedding.weight")[_CHLORINE]
        row.uniform_(-1.7, 1.7, generator=torch.Generator().manual_seed(_SEED))

    yield with_student(healthy.student(), forget)


@fault(
    caught_by=["matches_golden"],
    sizes=[1e-10, 1e-9, 1e-8, 1e-6, 1e-4, 5e-3],
    unit="eV",
    limit=1e-6,
)
def stale_reference_energy(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """The reference energy of one element is that of an earlier fit.

    Reference energies live beside the weights and are fitted anew with the data; forces do not
    notice.
    """

    def change(student: Student) -> None:
        energies = student.get_buffer("reference_energies")
        energies[_CHLORINE] += size

    yield with_student(healthy.student(), change)


@fault(caught_by=["matches_golden"])
def reference_energies_lost(healthy: Healthy) -> Iterator[StudentSubject]:
    """Reference energies are zero.

    A reader that takes parameters and no buffers.
    """
    yield with_student(
        healthy.student(), lambda student: student.get_buffer("reference_energies").zero_()
    )


@fault(caught_by=["matches_golden"])
def reference_energies_in_single_precision(healthy: Healthy) -> Iterator[StudentSubject]:
    """Reference energies are rounded to float32.

    A cast of the whole module: energies of hundreds of eV keep seven digits.
    """

    def round_references(student: Student) -> None:
        energies = student.get_buffer("reference_energies")
        energies.copy_(energies.float())

    yield with_student(healthy.student(), round_references)


@fault(
    caught_by=["matches_golden"],
    sizes=[1e-9, 1e-7, 1e-5, 1e-3, 1e-1],
    unit="relative",
    limit=1e-5,
)
def stale_normalisation(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """The scale of energies is that of another data set.

    Labels are divided by their spread for training; the spread that predictions are multiplied by
    is kept elsewhere, and goes stale.
    """

    def rescale(student: Student) -> None:
        student.get_parameter("energy_head.4.weight").mul_(1 + size)
        student.get_parameter("energy_head.4.bias").mul_(1 + size)

    yield with_student(healthy.student(), rescale)


@fault(caught_by=["matches_golden"], sizes=[1e-4, 1e-3, 1e-2], unit="relative", limit=1e-4)
def averaged_weights_unused(healthy: Healthy, size: float) -> Iterator[StudentSubject]:
    """The raw weights of the last step are read instead of their moving average.

    A file that holds both, and a reader that takes the first; the raw ones are scattered about the
    average by about the last learning rate.
    """
    yield with_student(healthy.student(), lambda student: add_noise(student, size))


@fault(caught_by=["matches_golden"], seen_in="torchmd/torchmd-net#154")
def prefix_replaced_everywhere(healthy: Healthy) -> Iterator[StudentSubject]:
    """Two layers keep their initial weights, and nobody is told.

    A prefix is removed with ``replace`` instead of from the beginning: of a wrapped student's
    ``0.interactions.0.message`` nothing but ``interactions.message`` is left; and ``strict=False``
    ignores what is missing.
    """

    def reload(student: Student) -> None:
        wrapped = {f"0.{name}": weight for name, weight in student.state_dict().items()}
        assert isinstance(student, StudentForceField)
        torch.manual_seed(_SEED)
        fresh = StudentForceField.from_config(student.config).double()
        fresh.load_state_dict(
            {name.replace("0.", ""): weight for name, weight in wrapped.items()}, strict=False
        )
        student.load_state_dict(fresh.state_dict())

    yield with_student(healthy.student(), reload)


@fault(caught_by=["matches_golden", "smooth_at_cutoff"], seen_in="usnistgov/alignn#178")
def wrong_revision(healthy: Healthy) -> Iterator[StudentSubject]:
    """The weights are run by an earlier version of the architecture.

    A checkpoint that does not state its revision is taken for one of the first.
    """
    subject = healthy.student()
    student = healthy.checkpoint.student()
    weights = student.state_dict()
    del weights["reference_energies"]
    earlier = StudentForceField.from_config({**student.config, "revision": 1})
    earlier.load_state_dict(weights)
    subject.potential = EagerPotential(earlier)
    yield subject
