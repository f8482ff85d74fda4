"""Progress on a terminal, in one line that is overwritten; nothing in a pipe."""

import sys


def show(text: str) -> None:
    """Replace the line by `text`; an empty text removes it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
