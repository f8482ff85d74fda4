"""Keeps the output of frameworks off the user's terminal."""

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

    Only for calls into a framework: messages of ours would be lost. Errors pass through as exceptions.
    """
    _flush()
    null = _open_null()
    saved = [os.dup(1), os.dup(2)]
    disabled = logging.root.manager.disable
    try:
        logging.disable(logging.CRITICAL)
        for descriptor in (1, 2):
            os.dup2(null, descriptor)
        # Python's own streams may lead elsewhere than to these descriptors, for example in a notebook.
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _flush()
        logging.disable(disabled)
        for descriptor, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(null)


def _open_null() -> int:
    """Return a descriptor of the null device above 2; fill closed ones below, so that no file gets their number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    return descriptor


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None if its descriptor was closed before the start (`>&-`)
            stream.flush()
