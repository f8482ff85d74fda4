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
    kept, nothing = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
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


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
