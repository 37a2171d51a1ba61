"""``python -m mlffd`` is the ``mlffd`` command."""

from mlffd.cli import main

main()
