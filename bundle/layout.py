"""Text for a terminal: columns that line up, lines that wrap, and nothing that could steer the terminal."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

WIDTH: Final = 110


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """Yield rows as lines whose columns line up; the columns numbered in `right` at their right edge."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def titled(title: str, text: str, indent: int = 12) -> Iterator[str]:
    """Yield a text as lines of at most 110 letters beside its title."""
    lines = textwrap.wrap(text, WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    for index, line in enumerate(lines):
        yield f"{'' if index else title:<{indent}}{line}"


def printable(text: str) -> str:
    """Return a text in which control characters are escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
