"""The errors that mlffd raises on purpose."""

from typing import ClassVar


class MlffdError(Exception):
    """Base of every error that mlffd raises on purpose: the message is meant for a person.

    The command line turns it into one line on standard error.

    Attributes:
        exit_code: of the command that it ends.
    """

    exit_code: ClassVar[int] = 3


class InputError(MlffdError):
    """Bad input. The message names the file, the key and what was expected."""

    exit_code = 2


class MissingPackageError(InputError):
    """A package that only some commands need is not installed: nothing was found out."""


class RefusedError(MlffdError):
    """What was made is wrong, and was not kept. The message says what is wrong with it."""

    exit_code = 1
