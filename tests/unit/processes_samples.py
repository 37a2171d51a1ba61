"""Workers for tests of `mlffd.processes`: other processes import them from here."""

import os
import signal
import time
from pathlib import Path

from mlffd.errors import InputError


def write_number(work: tuple[int, Path]) -> None:
    number, folder = work
    (folder / f"{number}").write_text(os.environ["OMP_NUM_THREADS"])


def do_what_the_number_says(work: tuple[int, Path]) -> None:
    number, _ = work
    if number == 1:
        raise InputError("one is not accepted")
    if number == 2:
        raise ZeroDivisionError("two")
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write_number(work)


def stay(work: tuple[int, Path]) -> None:
    number, folder = work
    (folder / f"{number}").write_text(f"{os.getpid()}")
    time.sleep(30 if number else 0)
