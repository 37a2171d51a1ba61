"""Plans: every structure once per epoch, even loads, no mixing, the same for the same seed."""

import numpy as np
import pytest

from mlffd.distill.sampling import BatchPlan

RNG = np.random.default_rng(0)
COUNTS = np.concatenate([RNG.integers(1, 40, size=200), [150, 190, 182]])
PERIODIC = RNG.random(len(COUNTS)) < 0.1
PERIODIC[-3:] = False


def plan(*, seed: int = 0, processes: int = 1, batch_atoms: int = 100) -> BatchPlan:
    return BatchPlan(COUNTS, PERIODIC, batch_atoms=batch_atoms, seed=seed, processes=processes)


def flat(epoch: list) -> list[int]:
    return [int(k) for step in epoch for batch in step for k in batch]


def test_every_structure_comes_once_per_epoch():
    for number in range(3):
        assert sorted(flat(plan().epoch(number))) == list(range(len(COUNTS)))


def test_all_epochs_have_the_announced_number_of_steps():
    assert {len(plan().epoch(number)) for number in range(5)} == {plan().steps}


def test_cells_and_molecules_do_not_mix():
    for (batch,) in plan().epoch(0):
        assert len(set(PERIODIC[batch])) == 1


def test_batches_have_about_as_many_atoms_as_asked_for():
    loads = [COUNTS[batch].sum() for (batch,) in plan().epoch(0)]
    assert np.mean(loads) == pytest.approx(100, rel=0.1)
    ordinary = [load for load in loads if load < 150]
    assert np.std(ordinary) < 10


def test_a_structure_above_the_budget_is_alone():
    for (batch,) in plan().epoch(0):
        if COUNTS[batch].max() >= 150:
            assert len(batch) == 1


def test_batches_hold_large_and_small_structures():
    molecules = [batch for (batch,) in plan().epoch(0) if not PERIODIC[batch].any()]
    spreads = [np.ptp(COUNTS[batch]) for batch in molecules if len(batch) > 1]
    assert np.median(spreads) > 10


def test_order_and_company_depend_on_seed_and_epoch_only():
    assert flat(plan().epoch(3)) == flat(plan().epoch(3))
    assert flat(plan().epoch(3)) != flat(plan().epoch(4))
    assert flat(plan(seed=1).epoch(3)) != flat(plan().epoch(3))
    companies = [{frozenset(b.tolist()) for (b,) in plan().epoch(n)} for n in range(2)]
    assert len(companies[0] & companies[1]) < len(companies[0]) / 2


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_each_step_and_miss_nothing(processes):
    found = plan(processes=processes)
    epoch = found.epoch(0)
    assert len(epoch) == found.steps
    assert all(len(step) == processes for step in epoch)
    assert set(flat(epoch)) == set(range(len(COUNTS)))
    # As many atoms per step as one process would take.
    loads = [sum(COUNTS[batch].sum() for batch in step) for step in epoch]
    assert np.mean(loads) == pytest.approx(100, rel=0.2)


def test_what_fills_the_last_step_comes_last():
    found = plan(processes=3, batch_atoms=111)
    batches = [batch.tolist() for step in found.epoch(0) for batch in step]
    assert sorted(k for batch in batches[: found.batches] for k in batch) == list(
        range(len(COUNTS))
    )


def test_fewer_structures_than_batches_are_batches_of_one():
    found = BatchPlan(np.array([50, 60]), np.array([False, False]), batch_atoms=10, seed=0)
    assert sorted(flat(found.epoch(0))) == [0, 1]
    assert found.steps == 2
