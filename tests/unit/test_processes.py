"""Work in processes of their own: what one does, no other suffers from."""

import os
import time
from pathlib import Path

import pytest
from processes_samples import do_what_the_number_says, stay, write_number

from mlffd.processes import Ended, Failure, one_thread_each, run_apart


def run(worker, folder: Path, count: int, jobs: int = 2) -> dict[int, Ended]:
    works = [(number, folder) for number in range(count)]
    return {ended.number: ended for ended in run_apart(worker, works, jobs=jobs)}


def test_each_payload_is_worked_on_once_with_one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    ended = run(write_number, tmp_path, 3)
    assert sorted(ended) == [0, 1, 2]
    assert all(item.failure is None and item.seconds > 0 for item in ended.values())
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "0": "1",
        "1": "1",
        "2": "1",
    }
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_threads_that_wait_for_each_other_sleep(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with one_thread_each():
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in os.environ


def test_nothing_to_do_is_done_at_once(tmp_path):
    assert run(write_number, tmp_path, 0) == {}


def test_failures_are_told_and_stop_nothing(tmp_path, capfd):
    ended = run(do_what_the_number_says, tmp_path, 5)
    assert ended[1].failure == Failure("one is not accepted", 2, "InputError")
    assert ended[2].failure == Failure("ZeroDivisionError: two", 3, "ZeroDivisionError")
    assert ended[3].failure.message.startswith("a process ended abruptly, with -9 ")
    assert ended[3].failure.exit_code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "4"]
    # What was foreseen has no traceback.
    assert capfd.readouterr().err.count("Traceback") == 1


def test_no_process_outlives_the_one_who_stops_listening(tmp_path):
    endings = run_apart(stay, [(number, tmp_path) for number in range(3)], jobs=2)
    next(endings)
    for _ in range(3000):
        started = [path for path in tmp_path.iterdir() if path.name != "0" and path.read_text()]
        if started:
            break
        time.sleep(0.01)
    else:
        pytest.fail("the next process did not start within half a minute")
    worker = int(started[0].read_text())
    endings.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
