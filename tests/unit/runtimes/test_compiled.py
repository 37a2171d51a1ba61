"""The compiled student: one piece of code for all sizes, which gives what eager PyTorch gives.

Compiling takes half a minute, a quarter of that where PyTorch kept what it compiled before. So one
test has all that needs a compiler; elsewhere the student itself stands for what is compiled.
"""

import pytest
import torch
from ase.build import bulk, molecule
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import InvalidCxxCompiler
from torch_samples import problems, sample_student

from mlffd.errors import InputError, MissingPackageError
from mlffd.export.graph import ForceField
from mlffd.runtimes import compiled
from mlffd.runtimes.compiled import CompiledPotential
from mlffd.runtimes.potential import collate_for
from mlffd.structures.structure import Structure

ATOM, WATER = (Structure.from_atoms(molecule(name)) for name in ("O", "H2O"))
CRYSTAL = Structure.from_atoms(bulk("C", "diamond", a=3.6))


@pytest.fixture
def uncompiled(monkeypatch):
    """What would be traced and compiled is called as it is."""
    monkeypatch.setattr(compiled, "trace", ForceField)
    monkeypatch.setattr(torch, "compile", lambda graph, **_: graph)


def test_it_is_the_student_at_any_size_again_and_in_two_threads():
    """Isolated atoms in mixed batches and cells among them, after batches of other sizes."""
    student = sample_student(2, "fp32", layers=1)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    try:
        potential = CompiledPotential(student, dtype=torch.float32)
    except MissingPackageError as error:
        pytest.skip(str(error))

    assert problems(potential, student, "fp32") == []
    assert potential(collate_for(potential, [WATER])).forces.abs().max() > 0.05
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 1


@pytest.mark.parametrize("revision", [1, 2])
def test_company_changes_nothing(uncompiled, revision):
    student = sample_student(revision, layers=1)

    potential = CompiledPotential(student)

    assert problems(potential, student, "fp64") == []
    assert potential.has_stress is (revision == 2)
    assert student.get_parameter("embedding.weight").dtype == torch.float64


def test_no_memory_serves_twice(monkeypatch):
    """The compiler would reuse that of a concatenation whose parts are still needed."""
    told = []

    def keep(graph, *, dynamic, options):
        told.append(options)
        return graph

    monkeypatch.setattr(compiled, "trace", ForceField)
    monkeypatch.setattr(torch, "compile", keep)

    CompiledPotential(sample_student(1, layers=1))

    assert [options["allow_buffer_reuse"] for options in told] == [False]


def test_no_size_is_below_two(uncompiled):
    """A compiler would make other code for it."""
    potential = CompiledPotential(sample_student(2, layers=1))
    shapes = []
    graph = potential._graph
    potential._graph = lambda *inputs: (shapes.extend(t.shape for t in inputs), graph(*inputs))[1]

    prediction = potential(collate_for(potential, [ATOM]))

    assert all(size >= 2 for shape in shapes for size in shape)
    assert (prediction.energy.shape, prediction.forces.shape) == ((1,), (1, 3))


def test_there_is_no_stress_without_cells(uncompiled):
    potential = CompiledPotential(sample_student(1, layers=1))

    with pytest.raises(ValueError, match="no stress"):
        potential(collate_for(potential, [CRYSTAL]), stress=True)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [(InvalidCxxCompiler(), MissingPackageError), (RuntimeError("bug\nmore"), InputError)],
)
def test_where_it_cannot_be_compiled_that_is_said(monkeypatch, reason, kind):
    def fail(*_):
        raise BackendCompilerFailed(fail, reason, None)

    monkeypatch.setattr(compiled, "trace", ForceField)
    monkeypatch.setattr(torch, "compile", lambda graph, **_: fail)

    with pytest.raises(InputError, match=r"^torch\.compile cannot be used here: .+$") as caught:
        CompiledPotential(sample_student(1, layers=1))
    assert type(caught.value) is kind
