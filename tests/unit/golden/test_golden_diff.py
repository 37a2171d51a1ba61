import numpy as np
import pytest
from golden_samples import (
    OTHER_DATASET,
    OTHER_WEIGHTS,
    make_entry,
    make_golden,
    make_record,
    make_structures,
    perturbed,
    scaled,
)

from mlffd.errors import InputError
from mlffd.golden.diff import counters_changes, dataset_changes, student_changes
from mlffd.golden.metrics import METRICS
from mlffd.golden.proposals import StudentProposal
from mlffd.golden.records import CountersRecord, DatasetRecord, Predictions

STRUCTURES = make_structures(20)
PREDICTIONS = perturbed(STRUCTURES, 0.1)
GOLDEN = make_golden(STRUCTURES, PREDICTIONS)


def changes(predictions=PREDICTIONS, golden=GOLDEN, structures=STRUCTURES, **fields):
    record = make_record(structures, predictions, **fields)
    return student_changes(golden, StudentProposal(record, predictions), structures)


def moved(by, atom=0):
    forces = PREDICTIONS.forces.copy()
    forces[atom, 0] += by
    return Predictions(PREDICTIONS.names, PREDICTIONS.energy, forces, PREDICTIONS.splits)


def test_nothing_changes_nothing_to_say():
    assert changes() == []


def test_rounding_is_nothing():
    """Another machine computes other last bits: nobody needs to review those."""
    assert changes(moved(1e-13)) == []
    assert changes(moved(1e-7)) != []


def test_a_first_golden_shows_its_figures():
    first, *figures = changes(golden=None)

    assert first == "no golden yet; would become:"
    value = GOLDEN.record.environments["cpu"].metrics["forces_mae"].value
    assert f"  forces_mae: {value:.4g} eV/Å" in figures
    assert len(figures) == len(METRICS)


def test_new_weights_show_each_metric_with_its_interval():
    lines = changes(scaled(STRUCTURES, PREDICTIONS, 0.5), weights=OTHER_WEIGHTS)

    assert lines[0] == "weights: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb"
    (line,) = [line for line in lines if line.startswith("forces_mae")]
    old = GOLDEN.record.environments["cpu"].metrics["forces_mae"].value
    assert line == (f"forces_mae: {old:.4g} -> {old / 2:.4g} eV/Å (improved, change -50% to -50%)")


def test_new_weights_that_predict_the_same_are_still_a_change():
    assert changes(weights=OTHER_WEIGHTS)[0].startswith("weights: ")


def test_a_new_revision_is_a_change():
    assert changes(revision=3)[0] == "revision: 2 -> 3"


def test_the_structures_that_change_most_come_first():
    worst, second = STRUCTURES[9], STRUCTURES[4]
    forces = PREDICTIONS.forces.copy()
    forces[PREDICTIONS.splits[9]] += [0.1, -3.0, 0.0]
    forces[PREDICTIONS.splits[4]] += [2.0, 0.0, 0.0]
    energy = PREDICTIONS.energy.copy()
    energy[9] += len(worst) * 0.25

    lines = changes(Predictions(PREDICTIONS.names, energy, forces, PREDICTIONS.splits))

    start = lines.index("structures that change most (of 20):")
    assert lines[start + 1] == f"  {worst.name}: forces by 3 eV/Å, energy by 0.25 eV/atom"
    assert lines[start + 2].startswith(f"  {second.name}: forces by 2 eV/Å")
    assert len(lines) == start + 11


def test_other_data_cannot_be_compared():
    structures = make_structures(5, seed=3)

    lines = changes(perturbed(structures, 0.1), structures=structures, dataset=OTHER_DATASET)

    assert lines[0].startswith("data set: sha256:dddddddddddd -> sha256:eeeeeeeeeeee")
    assert lines[1] == "metrics on the new data (not comparable):"
    assert len(lines) == 2 + len(METRICS)


def test_an_environment_without_entry_is_a_change():
    lines = changes(environment="cuda")

    assert lines[0] == "environment cuda: no entry yet, others: cpu"
    assert any(line.startswith("forces_mae: none ->") for line in lines)


def test_the_entry_of_the_same_environment_is_compared():
    record = make_record(
        STRUCTURES,
        PREDICTIONS,
        environments={
            "cpu": make_entry(STRUCTURES, scaled(STRUCTURES, PREDICTIONS, 7.0)),
            "cuda": make_entry(STRUCTURES, PREDICTIONS),
        },
    )
    golden = type(GOLDEN)(record, PREDICTIONS)

    lines = changes(moved(1e-3), golden=golden, environment="cuda")

    value = record.environments["cuda"].metrics["forces_mae"].value
    assert any(line.startswith(f"forces_mae: {value:.4g} ->") for line in lines)


def test_a_wider_tolerance_is_a_change():
    wider = {"cpu": make_entry(STRUCTURES, PREDICTIONS, tolerance=0.5)}

    lines = changes(environments=wider)

    assert lines[0] == "tolerance of energy_mae_per_atom: 0.1 -> 0.5"
    assert "tolerance of forces_rmse: 0.1 -> 0.5" in lines


def test_a_wider_tolerance_of_predictions_is_a_change():
    entry = make_entry(STRUCTURES, PREDICTIONS)
    wider = entry.predictions.model_copy(update={"forces": 1.0})

    lines = changes(environments={"cpu": entry.model_copy(update={"predictions": wider})})

    assert lines[0] == "tolerance of predictions.forces: 1e-08 -> 1.0"


def test_predictions_that_are_no_numbers_are_shown():
    spoilt = moved(np.nan)
    record = make_record(STRUCTURES, PREDICTIONS)

    lines = student_changes(GOLDEN, StudentProposal(record, spoilt), STRUCTURES)

    assert any(line.startswith("forces_mae:") and "(non-finite)" in line for line in lines)


def test_structures_that_are_not_those_of_the_predictions_are_refused():
    with pytest.raises(InputError, match="20 predictions for 19 structures"):
        student_changes(GOLDEN, StudentProposal(GOLDEN.record, PREDICTIONS), STRUCTURES[:-1])


def dataset_record(fingerprint="0", structures=10, periodic=2, **elements):
    counts = {symbol: {"atoms": n, "structures": n} for symbol, n in elements.items()}
    return DatasetRecord(
        subject="data",
        fingerprint="sha256:" + fingerprint * 64,
        structures=structures,
        kinds={"periodic": periodic},
        largest=5,
        elements=counts,
        typical={"forces_rms": 1.5},
        provenance={},
    )


def test_a_first_data_set_shows_its_elements():
    assert dataset_changes(None, dataset_record(H=4, C=2)) == [
        "no golden yet; would become: 10 structures, C H"
    ]


def test_the_same_data_change_nothing():
    assert dataset_changes(dataset_record(H=4), dataset_record(H=4)) == []


def test_a_lost_and_a_new_element_are_shown():
    lines = dataset_changes(dataset_record(H=4, C=2, O=3), dataset_record("1", 8, 0, C=2, O=5, F=1))

    assert lines == [
        "structures: 10 -> 8",
        "periodic: 2 -> 0 structures",
        "F: 0 -> 1 structures",
        "H: 4 -> 0 structures",
        "O: 3 -> 5 structures",
    ]


def counters(counts, torch="2.13.0"):
    return CountersRecord(subject="tiny", torch=torch, counters=counts, provenance={})


def test_counters_that_are_the_same_change_nothing():
    record = counters({"batch1": {"kernels": 227}})

    assert counters_changes(record, record) == []


def test_first_counters_show_all_of_them():
    record = counters({"batch1": {"operators": 1335, "kernels": 227}, "weights": {"bytes": 4}})

    assert counters_changes(None, record) == [
        "no golden yet; would become:",
        "  batch1: kernels 227, operators 1,335",
        "  weights: bytes 4",
    ]


def test_counters_of_another_torch_are_a_change_even_if_they_are_the_same():
    before, after = (counters({"batch1": {"kernels": 227}}, torch) for torch in ("2.13.0", "2.14"))

    assert counters_changes(before, after) == [
        "torch: 2.13.0 -> 2.14: what changes may be its doing"
    ]


def test_each_counter_that_changes_has_a_line():
    before = counters({"batch1": {"kernels": 1227, "flops": 5}, "operators": {"aten.add": 2}})
    after = counters({"batch1": {"kernels": 1229, "flops": 5}, "operators": {"aten.mul": 2}})

    assert counters_changes(before, after) == [
        "batch1: kernels: 1,227 -> 1,229 (+2)",
        "operators: aten.add: 2 -> none",
        "operators: aten.mul: none -> 2",
    ]
