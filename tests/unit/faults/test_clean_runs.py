"""Clean runs differ from each other, are the same again, and leave nothing behind."""

import numpy as np
import pytest
import torch

from mlffd.errors import InputError
from mlffd.faults.clean import CleanRun, Reading, _in_some_way
from mlffd.runtimes.potential import predict
from mlffd.structures import probes


def molecules(number: int) -> np.ndarray:
    with _in_some_way(number, np.random.default_rng(number)):
        return probes.molecules(probes.ELEMENTS)[0].positions


def test_probe_molecules_are_rattled_to_other_places_and_to_the_same_ones_again():
    assert np.abs(molecules(1) - molecules(2)).max() > 0.01
    assert np.array_equal(molecules(1), molecules(1))


def test_run_zero_is_the_run_of_every_day():
    assert np.array_equal(molecules(0), probes.molecules(probes.ELEMENTS)[0].positions)


def test_nothing_is_left_behind():
    before = torch.get_num_threads(), torch.get_default_dtype(), predict.__kwdefaults__
    rattled = probes.rattled
    seen = set()
    for number in range(12):
        with _in_some_way(number, np.random.default_rng(number)):
            assert probes.rattled is not rattled
            defaults = predict.__kwdefaults__
            seen.add((torch.get_num_threads(), torch.get_default_dtype(), *defaults.values()))
    assert (torch.get_num_threads(), torch.get_default_dtype(), predict.__kwdefaults__) == before
    assert probes.rattled is rattled
    assert len(seen) > 6


def test_runs_are_kept(tmp_path):
    run = CleanRun(3, 26, ["a-loads: fail: no"], [Reading("loads.failures", 1.0, 0.0, "")])
    run.write(tmp_path / "clean.json")
    assert CleanRun.read(tmp_path / "clean.json") == run


@pytest.mark.parametrize("text", ["", "{}", '{"readings": [[1]]}', "[]"])
def test_what_is_no_run_is_refused_by_name(tmp_path, text):
    (tmp_path / "clean.json").write_text(text)
    with pytest.raises(InputError, match="not the result of a clean run"):
        CleanRun.read(tmp_path / "clean.json")
