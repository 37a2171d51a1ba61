"""The errors that mlffd raises on purpose."""


class MlffdError(Exception):
    """Base of every error that mlffd raises on purpose: the message is meant for a person."""


class InputError(MlffdError):
    """Bad input. The message names the file, the key and what was expected.

    The command line turns it into one line on standard error and exit code 2.
    """
