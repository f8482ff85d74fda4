"""Progress on a terminal: one line that is written over again and again. In a pipe nothing is said."""

import sys


def show(text: str) -> None:
    """Show `text` in place of what was shown before; an empty text takes that away."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
