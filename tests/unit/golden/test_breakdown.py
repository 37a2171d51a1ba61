from dataclasses import replace

import numpy as np
import pytest
from golden_samples import make_structures, perturbed

from mlffd.checks.evidence import plain
from mlffd.golden.breakdown import break_down, structure_errors
from mlffd.golden.metrics import METRICS, REPORTED, metric_values
from mlffd.golden.records import Predictions
from mlffd.golden.residuals import residuals
from mlffd.structures.structure import Structure


def molecule(numbers, name, forces=None):
    shape = (len(numbers), 3)
    labels = np.ones(shape) if forces is None else forces
    return Structure(numbers, np.zeros(shape), energy=0.0, forces=labels, name=name)


def broken_down(structures, energy=None, forces=None):
    """Of predictions that are off by these errors."""
    nothing = [0.0] * len(structures)
    return break_down(
        residuals(
            structures,
            Predictions.concatenate(
                [s.name for s in structures],
                [s.energy + e for s, e in zip(structures, energy or nothing, strict=True)],
                [s.forces + f for s, f in zip(structures, forces or nothing, strict=True)],
            ),
        )
    )


def test_the_whole_has_every_metric_that_can_be_told():
    structures = make_structures(40)
    predictions = perturbed(structures, 0.1)

    found = break_down(residuals(structures, predictions))

    values = metric_values(structures, predictions)
    assert {n: f.value for n, f in found.overall.items()} == pytest.approx(values)
    assert set(values) < {m.name for m in (*METRICS, *REPORTED)}  # no molecules, no stress
    for figure in found.overall.values():
        assert figure.low < figure.value < figure.high


def test_an_error_is_told_of_the_element_that_has_it():
    structures = [molecule([8, 1, 1], f"water-{i}") for i in range(30)]
    wrong_on_oxygen = np.array([[0.3, 0.0, 0.0], [0.0] * 3, [0.0] * 3])

    found = broken_down(structures, forces=[wrong_on_oxygen] * 30).by_element

    assert list(found) == ["H", "O"]
    assert found["O"]["forces_mae"].value == pytest.approx(0.1)
    assert found["O"]["forces_rmse"].value == pytest.approx(0.3 / np.sqrt(3))
    assert found["O"]["force_r2"].value == pytest.approx(1 - 0.09 / 3)
    assert found["H"]["forces_rmse"].value == 0.0
    assert "energy_mae_per_atom" not in found["H"]


def test_sizes_are_in_order_and_cover_every_structure():
    counts = [200, 100, 99, 41, 40, 21, 20, 11, 10, 4, 3, 1]
    structures = [molecule([1] * n, f"s{n}") for n in counts]

    found = broken_down(structures, energy=[float(n) for n in counts]).by_size

    held = {key: row["energy_mae_per_atom"].structures for key, row in found.items()}
    assert list(held) == ["1-3", "4-10", "11-20", "21-40", "41-99", "100 or more"]
    assert set(held.values()) == {2}


def test_kinds_are_temperatures_first_and_then_words():
    names = ["a/pair-0", "a/1000K-0", "a/300K-0", "b/300K-1", "a/cell-0", "frame"]
    structures = [molecule([1], name) for name in names]

    found = broken_down(structures, energy=[1.0, 2.0, 3.0, 5.0, 6.0, 7.0]).by_kind

    values = {key: row["energy_mae_per_atom"].value for key, row in found.items()}
    assert list(values.items()) == [
        ("300 K", 4.0),
        ("1000 K", 2.0),
        ("cell", 6.0),
        ("other", 7.0),
        ("pair", 1.0),
    ]


def test_the_worst_are_far_off_in_energy_or_in_forces():
    structures = [molecule([1, 1], f"s{i}") for i in range(40)]
    energy = [0.1] * 40
    forces = [np.full((2, 3), 0.1) for _ in range(40)]
    energy[7] = -4.0
    forces[31] = np.full((2, 3), 9.0)

    worst = broken_down(structures, energy=energy, forces=forces).worst

    assert len(worst) == 10
    assert {worst[0].name, worst[1].name} == {"s7", "s31"}
    (energetic,) = [w for w in worst if w.name == "s7"]
    assert energetic.energy_per_atom == -2.0
    assert energetic.atoms == 2


def test_an_error_counts_by_how_large_the_others_of_its_kind_are():
    structures = [molecule([1], f"s{i}") for i in range(100)]
    energy, forces = [1e-3] * 100, [np.full((1, 3), 10.0) for _ in range(100)]
    energy[7], forces[31] = 5e-3, np.full((1, 3), 20.0)

    worst = broken_down(structures, energy=energy, forces=forces).worst

    assert [w.name for w in worst[:2]] == ["s7", "s31"]


def test_of_exact_energies_forces_alone_tell_the_worst():
    structures = [molecule([1], f"s{i}") for i in range(12)]
    forces = [np.full((1, 3), 1.0 + 0.01 * i) for i in range(12)]

    worst = broken_down(structures, forces=forces).worst

    assert [w.name for w in worst] == [f"s{i}" for i in range(11, 1, -1)]


def test_what_is_not_finite_is_worst():
    structures = [molecule([1], f"s{i}") for i in range(12)]
    forces = [np.full((1, 3), float(i)) for i in range(12)]
    forces[3] = np.full((1, 3), np.nan)

    found = broken_down(structures, forces=forces)

    assert found.worst[0].name == "s3"
    assert plain(found.as_dict())["overall"]["forces_mae"]["value"] is None


def test_exact_predictions_have_no_worst_by_division_by_zero():
    structures = [molecule([1], f"s{i}") for i in range(3)]

    assert [w.forces_max for w in broken_down(structures).worst] == [0.0, 0.0, 0.0]


def test_errors_of_every_structure_are_there():
    structures = [molecule([1], "one"), molecule([1, 6, 8], "three")]
    wrong = np.array([[4.0, 1.0, -3.0]] * 3)
    predictions = Predictions.concatenate(
        ["one", "three"], [0.5, -3.0], [np.full((1, 3), 2), wrong]
    )

    one, three = structure_errors(residuals(structures, predictions))

    assert one == ("one", 1, 0.5, pytest.approx(1.0), 1.0)
    assert three == ("three", 3, -1.0, pytest.approx(np.sqrt(25 / 3)), 4.0)


def test_the_same_predictions_give_the_same_figures():
    structures = [replace(s, name=f"m{i % 25}/300K-{i}") for i, s in enumerate(make_structures(60))]
    predictions = perturbed(structures, 0.1)

    first, second = (break_down(residuals(structures, predictions)) for _ in range(2))

    assert first == second
    assert (first.resampled, first.units) == ("molecules", 25)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("everywhere", [True, False])
def test_whatever_is_predicted_there_is_no_warning(value, everywhere):
    structures = [replace(s, name=f"m{i % 25}/300K-{i}") for i, s in enumerate(make_structures(60))]
    predictions = perturbed(structures, 0.1)
    energy, forces = predictions.energy.copy(), predictions.forces.copy()
    energy[:] = forces[:] = value
    if not everywhere:
        energy[1:], forces[1:] = predictions.energy[1:], predictions.forces[1:]

    spoilt = Predictions(predictions.names, energy, forces, predictions.splits)

    assert plain(break_down(residuals(structures, spoilt)).as_dict())["structures"] == 60
