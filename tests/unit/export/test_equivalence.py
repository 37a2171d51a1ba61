"""A sound potential is verified, and one with a fault is not: the problem names the case."""

from dataclasses import replace

import pytest
import torch
from export_cases import small_student

from mlffd.export.deviations import TOLERANCES
from mlffd.export.equivalence import cases_for, concurrent, repeated, verify
from mlffd.runtimes.eager import EagerPotential

CHNO = frozenset({1, 6, 7, 8})
FP32, FP64 = TOLERANCES["fp32"], TOLERANCES["fp64"]


class Faulty(EagerPotential):
    """A student in float64 with a fault between batch and prediction."""

    def __init__(self, fault):
        super().__init__(small_student(2))
        self.fault = fault

    def __call__(self, batch, *, stress=False):
        return self.fault(batch, super().__call__(batch, stress=stress))


def problems(fault):
    return verify(Faulty(fault), small_student(2), elements=CHNO).problems(FP64)


@pytest.mark.parametrize("revision", [1, 2])
def test_every_precision_of_a_sound_potential_is_within_its_tolerance(revision):
    student = small_student(revision, torch.float32)
    for dtype, tolerance in ((torch.float32, FP32), (torch.float64, FP64)):
        found = verify(EagerPotential(student, dtype=dtype), student, elements=CHNO)
        assert found.problems(tolerance) == []
        assert (found.measured.virial is not None) is (revision == 2)
    single = verify(EagerPotential(student, dtype=torch.float32), student, elements=CHNO)
    assert single.problems(FP64) != []


def test_without_elements_the_weights_tell_or_the_usual_ones_are_taken():
    student = small_student(2)
    assert verify(EagerPotential(student), student).problems(FP64) == []


def test_only_a_potential_that_takes_cells_is_asked_about_them():
    student = small_student(2)
    for periodic in (True, False):
        found = cases_for(student, CHNO, periodic=periodic)
        assert any(s.is_periodic for case in found for s in case.structures) is periodic


def test_a_problem_names_its_case_and_what_is_over_the_tolerance():
    def fault(batch, prediction):
        if len(batch.numbers) == 187:
            prediction.forces[5] += 0.5
        return prediction

    assert problems(fault) == [
        "187 atoms: forces 0.5 eV/Å (tolerance 1e-09), forces_rms 0.037 eV/Å (tolerance 1e-09)"
    ]


def test_an_error_is_the_problem_of_its_case_and_hides_no_other():
    def fault(batch, prediction):
        if not batch.edge_index.numel():
            raise IndexError("index -1 is out of bounds")
        return prediction

    error = "IndexError: index -1 is out of bounds"
    assert problems(fault) == [
        f"{name}: {error}" for name in ("1 atom", "no edges", "no edges in a cell")
    ]


def test_what_is_not_finite_is_a_problem():
    def fault(batch, prediction):
        return replace(prediction, energy=prediction.energy / (len(batch.numbers) != 3))

    assert problems(fault) == ["3 atoms: energy_per_atom inf eV/atom (tolerance 1e-09)"]


def leaking(batch, prediction, last=[0]):  # noqa: B006 - the state that leaks
    left_over, last[0] = last[0], len(batch)
    return replace(prediction, energy=prediction.energy + left_over)


def test_a_state_that_leaks_shows_when_the_same_is_asked_again():
    found = repeated(Faulty(leaking), cases_for(small_student(2), CHNO, periodic=False))
    assert found.deviation.energy_per_atom > 1e-4
    assert found.deviation.forces == 0


def test_the_same_bits_again_are_no_leak_even_if_they_are_not_finite():
    def fault(batch, prediction):
        return replace(prediction, forces=torch.full_like(prediction.forces, torch.nan))

    cases = cases_for(small_student(2), CHNO, periodic=True)
    for again in (repeated(Faulty(fault), cases), concurrent(Faulty(fault), cases[:2])):
        assert again.deviation.forces == 0


def test_an_error_in_a_thread_is_an_outcome():
    import threading

    def fault(batch, prediction):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("not from here")
        return prediction

    cases = cases_for(small_student(2), CHNO, periodic=False)[:2]
    assert concurrent(Faulty(fault), cases).error == "RuntimeError: not from here"
