"""A resumable map: killed at any moment, nothing is lost, doubled or half written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import work_samples

from mlffd.distill.work import parts_folder, remove_parts, run_units
from mlffd.errors import InputError

#: Runs in a process of its own, which the tests kill.
SCRIPT = """
import signal
import sys
from pathlib import Path
import work_samples
from mlffd.distill.work import run_units

if __name__ == "__main__":
    # A shell may have started the tests in the background, where interrupts are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    worker, count, target = getattr(work_samples, sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    run_units(worker, int, count, target=target, settings={"seed": 0}, jobs=2, on_done=print)
"""


def run(target: Path, worker=work_samples.write_square, *, count=6, jobs=2, seed=0, on_done=None):
    return run_units(
        worker,
        int,
        count,
        target=target,
        settings={"seed": seed},
        jobs=jobs,
        on_done=on_done or (lambda done: None),
    )


def start(tmp_path: Path, worker: str, count: int) -> subprocess.Popen[bytes]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, script, worker, str(count), tmp_path / "target"],
        env=environment,
        stdout=subprocess.DEVNULL,
    )


def whole_parts(tmp_path: Path) -> list[Path]:
    return sorted(parts_folder(tmp_path / "target").glob("[0-9]*.json"))


def wait_for_parts(tmp_path: Path, count: int) -> None:
    for _ in range(3000):
        if len(whole_parts(tmp_path)) >= count:
            return
        time.sleep(0.01)
    pytest.fail(f"{len(whole_parts(tmp_path))} parts after half a minute, expected {count}")


def test_parts_come_in_the_order_of_the_units_whatever_the_number_of_processes(tmp_path):
    for jobs in (1, 2):
        parts = run(tmp_path / f"target-{jobs}", jobs=jobs)
        assert [part.read_text() for part in parts] == ["0", "1", "4", "9", "16", "25"]


def test_killed_at_random_moments_it_goes_on_without_losing_or_doubling_anything(tmp_path):
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(3):
        process = start(tmp_path, "write_slowly", 60)
        wait_for_parts(tmp_path, found + 3)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.wait()
        parts = whole_parts(tmp_path)
        assert all(part.read_text() != "half" for part in parts)
        found = len(parts)
        assert found < 60  # else nothing was interrupted
    written = {part: part.stat().st_mtime_ns for part in whole_parts(tmp_path)}
    parts = run(tmp_path / "target", work_samples.write_slowly, count=60)
    assert [part.read_text() for part in parts] == [str(k**2) for k in range(60)]
    kept = [part for part, time in written.items() if part.stat().st_mtime_ns == time]
    assert len(kept) >= found  # what was whole was not computed again


def test_other_processes_end_with_the_first(tmp_path):
    process = start(tmp_path, "write_process", 4)
    wait_for_parts(tmp_path, 1)
    worker = int(whole_parts(tmp_path)[0].read_text())
    process.kill()
    process.wait()
    for _ in range(1000):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("a process outlives the one that started it, and would go on writing")


def test_an_interrupt_leaves_the_parts(tmp_path):
    process = start(tmp_path, "write_slowly", 200)
    wait_for_parts(tmp_path, 3)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) != 0
    assert 3 <= len(whole_parts(tmp_path)) < 200


def test_only_what_is_missing_is_computed(tmp_path):
    target = tmp_path / "target"
    parts = run(target)
    parts[2].unlink()
    parts[4].write_text("computed before")
    seen = []
    assert run(target, on_done=seen.append)[4].read_text() == "computed before"
    assert parts[2].read_text() == "4"
    assert seen == [5, 6]


def test_what_a_killed_process_left_half_written_is_no_part(tmp_path):
    target = tmp_path / "target"
    run(target)[1].rename(parts_folder(target) / ".000001.json.0123456789abcdef.json")
    assert run(target)[1].read_text() == "1"


def test_parts_made_with_other_settings_are_refused_with_what_to_do(tmp_path):
    target = tmp_path / "target"
    run(target)
    with pytest.raises(InputError, match=r"made with seed 0, not 1; .*remove the folder to start"):
        run(target, seed=1)


def test_a_broken_manifest_is_refused(tmp_path):
    target = tmp_path / "target"
    run(target)
    (parts_folder(target) / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="cannot keep parts in"):
        run(target)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent.*No such file"):
        run(tmp_path / "absent" / "target")


def test_a_process_that_is_killed_is_an_error_that_can_be_gone_on_from(tmp_path):
    target = tmp_path / "target"
    with pytest.raises(InputError, match=r"ended abruptly .*the same command goes on"):
        run(target, work_samples.be_killed_at_three)
    assert [part.read_text() for part in run(target)] == ["0", "1", "4", "9", "16", "25"]


def test_what_the_worker_refuses_is_told(tmp_path):
    with pytest.raises(InputError, match="three is not accepted"):
        run(tmp_path / "target", work_samples.refuse_three)


def test_each_process_has_one_thread_and_this_one_keeps_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    parts = run(tmp_path / "target", work_samples.write_threads, count=1)
    assert parts[0].read_text() == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_parts_are_removed_when_the_target_is_complete(tmp_path):
    run(tmp_path / "target")
    remove_parts(tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_parts_that_a_kill_left_while_they_were_removed_are_not_taken_for_others(
    tmp_path, monkeypatch
):
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    target = tmp_path / "target"
    run(target)
    monkeypatch.setattr(Path, "unlink", kill)
    with pytest.raises(KeyboardInterrupt):
        remove_parts(target)
    monkeypatch.undo()
    with pytest.raises(InputError, match="made with seed 0, not 1"):
        run(target, seed=1)
