"""Text from files of anybody, before a terminal sees it."""


def printable(text: str) -> str:
    """The text with control characters written out: names and metadata may hold any.

    An escape sequence could clear the screen, or paint a failure green. Line feeds stay.
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )
