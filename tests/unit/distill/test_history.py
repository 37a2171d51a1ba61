"""The table of epochs, and the short learning curve that goes into a checkpoint."""

import csv

import pytest

from mlffd.distill.history import Epoch, learning_curve, write_csv


def epoch(number: int, *, validated: bool = True) -> Epoch:
    metrics = {"forces_rmse": 1.0 / number} if validated else None
    return Epoch(number, 2.0 / number, 0.001, 60.0 * number, metrics)


def test_the_table_has_a_row_per_epoch_and_blanks_without_validation(tmp_path):
    path = tmp_path / "epochs.csv"
    write_csv(path, [epoch(1, validated=False), epoch(2)])
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["forces_rmse"] for row in rows] == ["", "0.5"]
    assert float(rows[1]["loss"]) == 1.0


@pytest.mark.parametrize("count", [1, 24, 25, 26, 1000])
def test_the_learning_curve_is_short_and_ends_with_the_last_epoch(count):
    curve = learning_curve([epoch(number) for number in range(1, count + 1)])
    numbers = [point["number"] for point in curve]
    assert numbers[-1] == count
    assert len(numbers) == len(set(numbers)) == min(count, 25)
    assert numbers == sorted(numbers)


def test_the_learning_curve_skips_epochs_without_validation():
    history = [epoch(number, validated=number % 2 == 0) for number in range(1, 7)]
    assert [point["number"] for point in learning_curve(history)] == [2, 4, 6]


def test_nothing_validated_is_no_curve():
    assert learning_curve([epoch(1, validated=False)]) == []
