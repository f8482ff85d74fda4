"""
Empty modules in the place of some that others import at a cold start, and that a server never uses.

Each saves its time in every cold start: medians of the CPU time of whole starts in turn, Python 3.11. They are removed
again, so that who imports one of these modules later gets the real one.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

STAND_INS: Final = (
    "uvicorn.main",  # the command line, with click, multiprocessing and the reloaders: 15 ms
    "numpy._typing",  # names for annotations, which numpy.linalg uses: 8 ms
    "numpy._core._add_newdocs",  # docstrings of numpy's functions in C: 4 ms
    "logging.config",  # uvicorn's log settings, with socketserver and queue; ours are not by dictConfig: 4 ms
    "ssl",  # OpenSSL; asyncio and uvloop import it for TLS, which is not served: 5 ms and 2 MiB
)


class Unused(Exception):
    """What a stand-in has under each name: it may stand in annotations, in `except`, and as a base class."""

    def __class_getitem__(cls, item: object) -> type["Unused"]:
        return cls


class StandIn(ModuleType):
    """A module in which each name exists. A name in capitals is the number 0."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return 0 if name.isupper() else Unused


@contextmanager
def stand_ins() -> Iterator[None]:
    """Let stand-ins be imported by the body of a `with` statement, where the real module is not imported yet."""
    placed = [name for name in STAND_INS if name not in sys.modules]
    sys.modules.update((name, StandIn(name)) for name in placed)
    try:
        yield
    finally:
        for name in placed:
            del sys.modules[name]
