"""Keeps the chatter of frameworks off the user's terminal."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO


@contextmanager
def quiet() -> Iterator[None]:
    """
    Silence warnings, logs and what native code writes to the terminal while a framework works.

    Only for calls into a framework: nothing of ours is said in there. Errors pass through as exceptions.
    """
    _flush()
    nothing = _nothing()
    kept = [os.dup(1), os.dup(2)]
    disabled = logging.root.manager.disable
    try:
        logging.disable(logging.CRITICAL)
        for descriptor in (1, 2):
            os.dup2(nothing, descriptor)
        # What Python prints may go elsewhere than to the terminal's descriptors, in a notebook for one.
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _flush()
        logging.disable(disabled)
        for descriptor, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nothing)


def _nothing() -> int:
    """Return a descriptor of the null device. Where 0, 1 or 2 is closed it fills them, lest a file is opened there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    return descriptor


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as Python leaves it when its descriptor was closed before the start (`>&-`)
            stream.flush()
