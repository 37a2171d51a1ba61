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


class BuildError(MlffdError):
    """A revision could not be built: nothing can be said about its speed."""

    exit_code = 4


class NothingMeasuredError(MlffdError):
    """What was to be measured was not there, or was skipped: silence is no good news."""

    exit_code = 5


class MissingDeviceError(MlffdError):
    """The device that was asked for is not there."""

    exit_code = 6
