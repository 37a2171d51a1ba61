"""What makes a student slower and changes nothing else: counters, and they alone, must catch it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from planting import CHECKPOINT, healthy_student, not_passing
from torch import Tensor

from mlffd.checkpoints import fingerprint
from mlffd.checks.cases import plan
from mlffd.checks.evidence import Evidence
from mlffd.checks.proposing import propose_counters
from mlffd.checks.subjects import StudentSubject
from mlffd.golden.proposals import accept
from mlffd.golden.store import read_counters_record, write_record
from mlffd.structures import batch, neighbours
from mlffd.structures.structure import Structure
from mlffd.students.interaction import Edges, Interaction
from mlffd.verdicts import Verdict

Fault = Callable[[Tensor, Edges], Tensor]


def student_with_counters(path: Path) -> StudentSubject:
    subject = healthy_student()
    subject.counters_path = path
    return subject


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The counters of the shipped student, as they are now."""
    path = tmp_path_factory.mktemp("golden") / "counters.json"
    accept(propose_counters(student_with_counters(path)), path, reason="before planting")
    return path


def changed(golden: Path, path: Path, **values: object) -> Path:
    """A golden that says something else."""
    record = read_counters_record(golden)
    assert record is not None
    write_record(path, record.model_copy(update=values))
    return path


def counters_of(subject: StudentSubject) -> Evidence:
    (case,) = plan([subject], ["counters"]).cases
    return case.run()


def in_every_layer(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Let each layer do something more with its scalars that leaves them what they are."""
    healthy = Interaction.forward

    def forward(
        self: Interaction, scalars: Tensor, vectors: Tensor | None, edges: Edges
    ) -> tuple[Tensor, Tensor]:
        return healthy(self, fault(scalars, edges), vectors, edges)

    monkeypatch.setattr(Interaction, "forward", forward)


def one_more_kernel(scalars: Tensor, edges: Edges) -> Tensor:
    return scalars.clone()


def a_wait(scalars: Tensor, edges: Edges) -> Tensor:
    return scalars if scalars[0, 0].item() < torch.inf else 0.0 * scalars


def a_copy_of_all_edges(scalars: Tensor, edges: Edges) -> Tensor:
    edges.directions.detach().clone()
    return scalars


def unused_memory(scalars: Tensor, edges: Edges) -> Tensor:
    torch.empty_like(edges.basis)
    return scalars


def test_a_healthy_student_costs_what_it_did(golden: Path) -> None:
    assert not_passing(student_with_counters(golden), dynamics=False) == {}


LAYERS = 2


@pytest.mark.parametrize(
    ("fault", "counter", "more"),
    [
        (one_more_kernel, "kernels", LAYERS),
        (a_wait, "synchronizations", LAYERS),
        # Edges have three components of four bytes.
        (a_copy_of_all_edges, "allocated_bytes", 1616 * 3 * 4 * LAYERS),
        # Half of the edges, and of each twenty Gaussians.
        (unused_memory, "allocated_bytes", 808 * 20 * 4 * LAYERS),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_something_more_in_every_layer(
    golden: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, counter: str, more: int
) -> None:
    in_every_layer(monkeypatch, fault)
    subject = student_with_counters(golden)
    assert not_passing(subject, dynamics=False) == {"counters": Verdict.FAIL}
    record = read_counters_record(golden)
    assert record is not None
    assert subject.counters["batch8"][counter] - record.counters["batch8"][counter] == more


def test_a_neighbour_list_that_holds_every_pair(
    golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the cutoff messages are zero: nothing tells but the time."""

    def every_pair(
        structure: Structure, cutoff: float, *, periodic: bool = True
    ) -> neighbours.Neighbours:
        if structure.is_periodic:
            return neighbours.find_neighbours(structure, cutoff, periodic=periodic)
        pairs = np.argwhere(~np.eye(len(structure), dtype=bool))
        return neighbours.Neighbours(pairs.T[::-1].copy(), np.zeros((len(pairs), 3)))

    monkeypatch.setattr(batch, "find_neighbours", every_pair)
    subject = student_with_counters(golden)
    assert not_passing(subject, dynamics=False) == {"counters": Verdict.FAIL}
    assert subject.counters["atoms187"]["edges"] == 187 * 186


def test_less_is_a_change_too_until_it_is_accepted(golden: Path, tmp_path: Path) -> None:
    record = read_counters_record(golden)
    assert record is not None
    found = record.counters["batch1"]["kernels"]
    slower = {**record.counters["batch1"], "kernels": found + LAYERS}
    path = tmp_path / "counters.json"
    changed(golden, path, counters={**record.counters, "batch1": slower})
    subject = student_with_counters(path)
    evidence = counters_of(subject)
    assert evidence.verdict is Verdict.FAIL
    assert f"batch1: kernels: {found + LAYERS} -> {found} (-{LAYERS})" in evidence.message
    accept(propose_counters(subject), path, reason="a layer does with less")
    again = student_with_counters(path)
    again.counters = subject.counters
    assert counters_of(again).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"torch": "2.3.1"}, "of torch 2.3.1, this is torch "),
        ({"subject": "another"}, "those of 'another'"),
    ],
    ids=lambda value: next(iter(value), None) if isinstance(value, dict) else None,
)
def test_what_cannot_be_compared_is_no_pass(
    golden: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    path = changed(golden, tmp_path / "counters.json", **change)
    evidence = counters_of(student_with_counters(path))
    assert evidence.verdict is Verdict.INVALID
    assert message in evidence.message


def test_counters_that_were_never_accepted_are_no_pass(tmp_path: Path) -> None:
    evidence = counters_of(student_with_counters(tmp_path / "counters.json"))
    assert evidence.verdict is Verdict.INVALID
    assert "mlffd golden accept" in evidence.message


def test_other_weights_cost_the_same(golden: Path, tmp_path: Path) -> None:
    document = torch.load(CHECKPOINT, weights_only=True)
    document["model_state_dict"]["energy_head.4.bias"] += 1.0
    document["fingerprint"] = fingerprint(document["model_state_dict"])
    path = tmp_path / "other.pt"
    torch.save(document, path)
    subject = student_with_counters(golden)
    subject.path = path
    assert counters_of(subject).verdict is Verdict.PASS
