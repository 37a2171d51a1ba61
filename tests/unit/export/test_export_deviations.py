"""Deviations are what they are said to be, and what is not finite is never small."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from export_cases import ETHANOL, OXYGEN_ATOM, WATER, skewed_cell, small_student
from pydantic import ValidationError

from mlffd.export.deviations import (
    INFINITE,
    TOLERANCES,
    UNITS,
    deviation,
    exceeding,
    tolerance_of,
    worst,
)
from mlffd.export.manifest import Deviation, Manifest
from mlffd.export.probe_cases import ProbeCase
from mlffd.runtimes.eager import EagerPotential

MOLECULES = ProbeCase("molecules", (WATER, OXYGEN_ATOM, ETHANOL), usual=True)
CELLS = ProbeCase("cells", (WATER, skewed_cell()), usual=True)
LARGE = Deviation(energy_per_atom=1, forces=1, forces_rms=1, virial=1)
#: What the reference calls precisions.
_TOLD = {"fp32": "fp32", "fp64": "fp64", "fp16": "fp16", "bf16": "bf16", "int8": "int8-weights"}


@pytest.fixture(scope="module")
def reference():
    return EagerPotential(small_student(2))


class Changed:
    """A potential whose predictions are tampered with."""

    def __init__(self, inner, change):
        self.inner, self.change = inner, change

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __call__(self, batch, *, stress=False):
        return self.change(self.inner(batch, stress=stress))


def changed(reference, key, change):
    """The deviation of a potential one of whose outputs is changed in place."""

    def tamper(prediction):
        values = getattr(prediction, key)
        if values is None:
            return prediction
        values = values.clone()
        change(values)
        return replace(prediction, **{key: values})

    return deviation(Changed(reference, tamper), reference, CELLS if key == "stress" else MOLECULES)


def test_a_potential_does_not_deviate_from_itself(reference):
    exact = {"energy_per_atom": 0, "forces": 0, "forces_rms": 0}
    assert deviation(reference, reference, CELLS) == Deviation(**exact, virial=0)
    assert deviation(reference, reference, MOLECULES) == Deviation(**exact)


def test_energies_are_compared_per_atom(reference):
    def change(energy):
        energy[2] += 9e-3

    found = changed(reference, "energy", change)
    assert found.energy_per_atom == pytest.approx(1e-3)
    assert found.forces == found.forces_rms == 0


def test_forces_are_compared_by_the_worst_component_and_by_the_worst_structure(reference):
    def change(forces):
        forces[2, 1] -= 0.3

    found = changed(reference, "forces", change)
    assert found.forces == pytest.approx(0.3)
    assert found.forces_rms == pytest.approx(0.3 / 3)  # of 9 components
    assert found.energy_per_atom == 0


def test_the_virial_is_the_stress_times_the_volume_per_atom(reference):
    def change(stress):
        stress[:, 2, 0] += 1e-3

    volume = abs(np.linalg.det(skewed_cell().cell))
    assert changed(reference, "stress", change).virial == pytest.approx(1e-3 * volume / 2)


def test_both_see_the_same_rounded_numbers():
    """Rounding positions of a far molecule to float32 moves its atoms by far more than that."""
    student = small_student(2)
    far = ProbeCase("far", (ETHANOL.with_positions(ETHANOL.positions + 4e4),), usual=True)
    found = deviation(EagerPotential(student, dtype=torch.float32), EagerPotential(student), far)
    assert not exceeding(found, TOLERANCES["fp32"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("key", "quantities"),
    [
        ("energy", {"energy_per_atom"}),
        ("forces", {"forces", "forces_rms"}),
        ("stress", {"virial"}),
    ],
)
def test_what_is_not_finite_is_infinitely_far_even_from_itself(reference, value, key, quantities):
    def change(values):
        values[-1] = value

    found = changed(reference, key, change)
    assert {name for name in UNITS if getattr(found, name) == math.inf} == quantities
    assert exceeding(found, LARGE).keys() == quantities

    def everywhere(prediction):
        return replace(prediction, **{key: torch.full_like(getattr(prediction, key), value)})

    both = Changed(reference, everywhere)
    if key != "stress":
        assert exceeding(deviation(both, both, MOLECULES), LARGE).keys() == quantities


@pytest.mark.parametrize(
    ("key", "shape"), [("energy", "(1,), expected shape (3,)"), ("forces", "(12, 3), expected")]
)
def test_a_prediction_of_another_shape_is_not_stretched_to_fit(reference, key, shape):
    def cut(prediction):
        values = getattr(prediction, key)
        return replace(prediction, **{key: values[: 1 if key == "energy" else 12]})

    with pytest.raises(ValueError) as raised:  # noqa: PT011
        deviation(Changed(reference, cut), reference, MOLECULES)
    assert str(raised.value).startswith(f"{key}: shape {shape}")


def test_a_stress_that_is_promised_and_not_given_is_an_error(reference):
    potential = Changed(reference, lambda prediction: replace(prediction, stress=None))
    with pytest.raises(ValueError, match="stress: nothing, expected shape"):
        deviation(potential, reference, CELLS)


def test_the_worst_is_taken_quantity_by_quantity():
    one = Deviation(energy_per_atom=1, forces=2, forces_rms=3)
    other = Deviation(energy_per_atom=3, forces=1, forces_rms=2, virial=5)
    assert worst([one, other]) == Deviation(energy_per_atom=3, forces=2, forces_rms=3, virial=5)
    assert worst([one]) == one
    assert worst([one, INFINITE]) == INFINITE


def test_a_virial_without_a_tolerance_of_its_own_has_that_of_the_energy():
    tolerance = Deviation(energy_per_atom=1, forces=1, forces_rms=1)
    measured = Deviation(energy_per_atom=0, forces=1, forces_rms=0, virial=1.5)
    assert exceeding(measured, tolerance) == {"virial": (1.5, 1.0)}


def manifest(precision, tolerance):
    return Manifest.model_construct(precision=precision, tolerance=tolerance)


def test_a_manifest_narrows_the_tolerance_of_its_precision_and_never_widens_it():
    assert tolerance_of(manifest("fp32", LARGE)) == TOLERANCES["fp32"]
    narrow = TOLERANCES["fp32"].model_copy(update={"forces": 1e-6})
    assert tolerance_of(manifest("fp32", narrow)) == narrow
    assert tolerance_of(manifest("fp64", narrow)) == TOLERANCES["fp64"]
    assert tolerance_of(manifest("fp16", LARGE)) == TOLERANCES["fp16"]
    assert tolerance_of(manifest("fp31", LARGE)) == TOLERANCES["fp32"]


def test_no_manifest_holds_what_is_not_finite():
    fields = dict.fromkeys(Manifest.model_fields)
    with pytest.raises(ValidationError) as raised:
        Manifest(**{**fields, "measured": INFINITE})
    problems = [e for e in raised.value.errors() if e["loc"][0] == "measured"]
    assert {e["type"] for e in problems} == {"finite_number"}


def test_the_tolerances_are_those_of_the_reference(root):
    lines = (root / "docs" / "reference" / "checks.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    told = {row[0]: [float(cell) for cell in row[1:]] for row in rows if row[0] in _TOLD}
    assert told == {
        name: [getattr(TOLERANCES[key], quantity) for quantity in UNITS]
        for name, key in _TOLD.items()
    }
