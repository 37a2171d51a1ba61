"""Workers for tests of `mlffd.distill.work`: other processes import them from here."""

import os
import signal
import time
from pathlib import Path

from mlffd.errors import InputError


def write_square(number: int, path: Path) -> None:
    path.write_text(f"{number**2}")


def write_slowly(number: int, path: Path) -> None:
    """Leave half of the part for a while: whoever kills the process mostly does so then."""
    path.write_text("half")
    time.sleep(0.03)
    path.write_text(f"{number**2}")


def write_threads(number: int, path: Path) -> None:
    path.write_text(f"{os.environ['OMP_NUM_THREADS']}")


def write_process(number: int, path: Path) -> None:
    path.write_text(f"{os.getpid()}")
    time.sleep(30 if number else 0)


def be_killed_at_three(number: int, path: Path) -> None:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write_square(number, path)


def refuse_three(number: int, path: Path) -> None:
    if number == 3:
        raise InputError("three is not accepted")
    write_square(number, path)
